"""The model card of a checkpoint (https://huggingface.co/docs/hub/model-cards): where its weights come from, for whoever finds it.

A card says nothing of the machine or the time: data is named by file name and hash, and the same recipe gives the same card.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import yaml

from vtalign.artifacts import write_atomic
from vtalign.cards import CARD, markdown_table, portable, portable_model
from vtalign.hub import is_hub_id
from vtalign.training.checkpoints import MARKER, mark_complete
from vtalign.training.config import SFTStage, Stage, TrainConfig
from vtalign.training.gate import GateDecision
from vtalign.training.stage import StageSummary
from vtalign.training.tables import describe_loss, describe_parts

LIBRARIES = ("vtalign", "torch", "transformers", "peft", "accelerate")

Kind = Literal["model", "adapter"]
_RELATION = {"model": "finetune", "adapter": "adapter"}


def versions() -> dict[str, str]:
    """Releases of what trained the weights."""
    return {name: version(name) for name in LIBRARIES}


def portable_recipe(config: TrainConfig) -> dict[str, Any]:
    """What decides the result, as plain data, without folders of the machine: every path is cut to its last name."""
    shown = config.model_dump(mode="python", include=set(config.settings()))
    return {**portable(shown), "model": base_name(config)}


def base_name(config: TrainConfig) -> str:
    return portable_model(config.model)


def model_card(
    config: TrainConfig,
    stages: Sequence[StageSummary],
    gates: Mapping[str, GateDecision],
    data_hashes: Mapping[str, str],
    kind: Kind,
) -> str:
    """The text of README.md beside weights that `stages`, the first ones of the recipe, led to. `gates` by name of the stage."""
    base = base_name(config)
    what = "The adapter of the last stage below" if kind == "adapter" else f"`{base}`"
    pairs = list(zip(config.stages, stages, strict=False))
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(config, kind), sort_keys=False)}---",
        f"# {base}, trained with vtalign",
        f"{what}, trained by `vtalign train` to attend to time in video: order, direction, speed, change.",
        f"Base: `{base}`, {stages[0].start_fingerprint}.",
        "## How to load it",
        _loading(config, kind),
        "## Stages",
        markdown_table(["stage", "kind", "loss", "trains", "learning rate", "length"], [_stage_row(*pair) for pair in pairs]),
        *(f"Gate of {name}: {decision}: {decision.verdict}." for name, decision in gates.items()),
        "Means over the last tenth of each stage's logged points:",
        _metric_table(stages),
        *(f"{stage.name}, {warning}." for stage in stages for warning in stage.warnings),
        "## Data",
        markdown_table(
            ["stage", "file", "hash", "used"],
            [[stage.name, stage.data.name, data_hashes[stage.name], f"{done.examples:,}"] for stage, done in pairs],
        ),
        "## Recipe",
        f"```yaml\n{yaml.safe_dump(portable_recipe(config), sort_keys=False, allow_unicode=True)}```",
        "## Versions",
        ", ".join(f"{name} {found}" for name, found in versions().items()),
    ]
    return "\n\n".join(parts) + "\n"


def put_card(folder: Path, text: str) -> None:
    """Write the card into a published checkpoint folder, and into its marker. Nothing to do where both are done."""
    listed = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    file, data = folder / CARD, text.encode()
    if listed.get(CARD) == len(data) and file.is_file() and file.read_bytes() == data:
        return
    write_atomic(file, text)
    mark_complete(folder)


def checkpoint_records(config: TrainConfig, resolved: str, data_hashes: Mapping[str, str]) -> dict[str, str]:
    """Files (name to text) that lie in every `checkpoint-N`: the recipe as `vtalign train` takes it, and what it met."""
    record = {"data_hashes": dict(data_hashes), "model": config.model, "versions": versions()}
    return {"recipe.yaml": resolved, "provenance.json": json.dumps(record, indent=2) + "\n"}


def _front_matter(config: TrainConfig, kind: Kind) -> dict[str, Any]:
    # a base that is a folder has no name that the Hub would find, or would find somebody else's model by
    base = {"base_model": config.model, "base_model_relation": _RELATION[kind]} if is_hub_id(config.model) else {}
    return {
        **base,
        "library_name": "peft" if kind == "adapter" else "transformers",
        "pipeline_tag": "video-text-to-text",
        "tags": ["vtalign", "video", *dict.fromkeys(stage.kind for stage in config.stages)],
    }


def _loading(config: TrainConfig, kind: Kind) -> str:
    trust = ", trust_remote_code=True" if config.trust_remote_code else ""
    if kind == "adapter":
        code = f"""from vtalign import load_video_lm

lm = load_video_lm("THIS_FOLDER"{trust})  # merged into its base; lm.save("FOLDER") writes the merged model"""
    else:
        code = f"""from transformers import AutoModelForImageTextToText, AutoProcessor

model = AutoModelForImageTextToText.from_pretrained("THIS_FOLDER"{trust})
processor = AutoProcessor.from_pretrained("THIS_FOLDER"{trust})"""
    text = "Frames were sampled as the model's `frame_policy.json` says; `vtalign eval run --model THIS_FOLDER` follows it."
    return f"```python\n{code}\n```\n\n{text}"


def _stage_row(stage: Stage, done: StageSummary) -> list[str]:
    length = f"{done.steps:,} steps, {done.seen:,} {'rows' if isinstance(stage, SFTStage) else 'pairs'}"
    return [stage.name, stage.kind, describe_loss(stage), describe_parts(stage), f"{stage.learning_rate:g}", length]


def _metric_table(stages: Sequence[StageSummary]) -> str:
    names = sorted({name for stage in stages for name in stage.metrics})
    rows = [[name, *(f"{s.metrics[name]:.4g}" if name in s.metrics else "" for s in stages)] for name in names]
    return markdown_table(["", *(stage.name for stage in stages)], rows)
