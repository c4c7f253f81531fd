"""The arms of the demo: what each trains on, in which order, for how many steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtalign.cli.demo.config import DemoConfig
from vtalign.config import validate_config
from vtalign.training.config import TrainConfig


@dataclass(frozen=True)
class Arm:
    """A name and its recipe; the base has none. `needs_pairs`: the recipe reads the preference pairs, or rows made of them."""

    name: str
    recipe: TrainConfig | None
    needs_pairs: bool

    @property
    def steps(self) -> int:
        return sum(stage.max_steps or 0 for stage in self.recipe.stages) if self.recipe else 0


@dataclass(frozen=True)
class Sources:
    """Where the arms find what they train on."""

    model: Path
    videos: Path
    pairs: Path
    sft_rows: Path
    chosen_rows: Path
    output: Path
    frames: Path
    seed: int


BASE, SFT_ONLY, SFT_MATCHED = "base", "sft_only", "sft_only_matched"
CHOSEN, DPO = "chosen_sft_then_sft", "dpo_then_sft"
POST, RRPO = "sft_then_dpo", "rrpo_then_sft"
RANDOM_LABELS, HARD_FIRST = "dpo_random_labels_then_sft", "dpo_hard_to_easy_then_sft"
QUICK_ARMS = (BASE, SFT_ONLY, SFT_MATCHED, CHOSEN, DPO)
FULL_ARMS = (*QUICK_ARMS, POST, RRPO, RANDOM_LABELS, HARD_FIRST)


def build_arms(config: DemoConfig, sources: Sources, names: tuple[str, ...]) -> list[Arm]:
    """The named arms. The SFT stage has the same rows and, but for `sft_only_matched`, the same steps in all of them."""
    dpo = {"kind": "dpo", "name": "dpo", "data": str(sources.pairs), **config.dpo}
    sft = {"kind": "sft", "name": "sft", "data": str(sources.sft_rows), "videos": str(sources.sft_rows.parent), **config.sft}
    steps = {"sft": int(sft["max_steps"]), "dpo": int(dpo["max_steps"])}
    curriculum = dict(dpo.get("curriculum", {}))
    stages: dict[str, list[dict[str, Any]]] = {
        SFT_ONLY: [sft],
        SFT_MATCHED: [{**sft, "max_steps": steps["sft"] + steps["dpo"]}],
        CHOSEN: [_on_chosen(dpo, sources.chosen_rows), sft],
        DPO: [dpo, sft],
        POST: [sft, dpo],
        RRPO: [{**dpo, "kind": "rrpo", "name": "rrpo", **config.rrpo}, sft],
        RANDOM_LABELS: [{**dpo, "labels": "random"}, sft],
        HARD_FIRST: [{**dpo, "curriculum": {**curriculum, "order": "hard_to_easy"}}, sft],
    }
    built = []
    for name in names:
        own = stages.get(name)
        needs_pairs = any(stage["data"] != sft["data"] for stage in own or ())
        built.append(Arm(name, _recipe(own, sources, name) if own else None, needs_pairs))
    return built


def _on_chosen(dpo: Mapping[str, Any], rows: Path) -> dict[str, Any]:
    """An SFT stage on the chosen responses with the steps, batch and learning rate of the DPO stage: what the rejected ones add."""
    shared = {
        key: dpo[key]
        for key in ("learning_rate", "scheduler", "warmup", "max_steps", "micro_batch", "trainable", "lora")
        if key in dpo
    }
    return {"kind": "sft", "name": "chosen", "data": str(rows), "rows_per_step": dpo.get("pairs_per_step", 16), **shared}


def _recipe(stages: list[dict[str, Any]], sources: Sources, name: str) -> TrainConfig:
    data = {
        "model": str(sources.model),
        "output": str(sources.output / name),
        "videos": str(sources.videos),
        "frame_cache": str(sources.frames),
        "seed": sources.seed,
        "threads": 1,
        "device": "cpu",
        "report_to": ["tensorboard"],
        "stages": stages,
    }
    return validate_config(TrainConfig, data, f"demo arm {name}")
