"""Two processes train what one trains, weights whole on each or spread over both: steps count examples over all devices."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from vtalign.training.config import TrainConfig
from vtalign.training.logs import read_history
from vtalign.training.recipe import run_recipe

Launch = Callable[[str, TrainConfig], subprocess.Popen[str]]
LORA = {"lora": {"r": 4, "alpha": 8}, "micro_batch": 2}
# no steps in the dark: what Adam makes of a gradient near zero is its sign, whatever the size of the error
FULL = {"learning_rate": 1e-4, "micro_batch": 3}


def grouped_and_not(stages: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Adapters and whole weights, the vision encoder frozen and trained, videos of a curriculum stage brought together and not;
    then SFT, text alone among its rows."""
    dpo, sft = (stage.model_dump(mode="json") for stage in stages)
    dpo = {**dpo, "max_steps": 2, "sft_weight": 0.5}
    rrpo = {key: value for key, value in dpo.items() if key not in ("loss", "label_smoothing", "ld_alpha", "gamma")}
    rrpo |= {"kind": "rrpo", "alpha": 0.1}
    return [
        {**dpo, **(LORA if name.startswith("lora") else FULL), "name": name, "curriculum": {"window": window}}
        for name, window in (("lora-stage", "stage"), ("lora-1", 1), ("full-stage", "stage"), ("full-1", 1))
    ] + [
        {**dpo, **FULL, "name": "vision", "trainable": ["vision", "projector", "language_model"]},
        {**dpo, **LORA, "name": "lora-projector", "trainable": ["projector", "language_model"]},
        {**rrpo, **LORA, "name": "rrpo", "reference": "stage"},
        {**sft, **FULL, "max_steps": 2},
    ]


@pytest.fixture
def long(recipe: Callable[..., TrainConfig], tmp_path: Path) -> Callable[..., TrainConfig]:
    def make(name: str, **top: Any) -> TrainConfig:
        stages = recipe(tmp_path / name).stages
        return recipe(tmp_path / name, stages=grouped_and_not(stages), **top)

    return make


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["ddp_cpu", "fsdp2_cpu"])
def test_two_devices_equal_one(kind: str, long: Callable[..., TrainConfig], launch: Launch) -> None:
    one, two = long("one"), long("two", gradient_checkpointing=True, device="auto")
    run_recipe(one)
    started = launch(kind, two)
    printed, errors = started.communicate()
    assert started.returncode == 0, errors
    assert "2 device(s)" in printed and printed.count("trained:") == 1
    sharded = two.output / "stages/01-lora-stage/checkpoints/checkpoint-2/pytorch_model_fsdp_0"
    assert sharded.is_dir() == (kind == "fsdp2_cpu")
    for stage in sorted(path.name for path in (one.output / "stages").iterdir()):
        weights = [load_file(config.output / f"stages/{stage}/model/model.safetensors") for config in (one, two)]
        assert weights[0].keys() == weights[1].keys()
        for name, weight in weights[0].items():
            torch.testing.assert_close(
                weights[1][name], weight, atol=1e-5, rtol=1e-4, msg=lambda m, at=f"{stage} {name}": f"{at}: {m}"
            )
    for row, other in zip(*(read_history(config.output / "history.jsonl") for config in (one, two)), strict=True):
        assert row.pop("stage") == other.pop("stage")
        # how many pairs share a row follows the cuts, and the sign of a margin of 1e-7 says nothing; nothing else differs
        for name in ("mean_group_size", "rewards/accuracies"):
            assert (row.pop(name, None) is None) == (other.pop(name, None) is None)
        assert other == pytest.approx(row, rel=1e-3, abs=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_text_alone_among_rows_that_train_the_encoder(recipe: Callable[..., TrainConfig], tmp_path: Path, launch: Launch) -> None:
    """Some micro-batches give the encoder no gradient: the other device must not wait for one. Activations are recomputed."""
    every = ["vision", "projector", "language_model"]
    sft = {**FULL, "rows_per_step": 12, "micro_batch": 1, "max_steps": 2, "trainable": every}
    one, two = (
        recipe(tmp_path / name, sft=sft, order=("sft",), gradient_checkpointing=True, device=device)
        for name, device in (("one", "cpu"), ("two", "auto"))
    )
    run_recipe(one)
    started = launch("ddp_cpu", two)
    _, errors = started.communicate()
    assert started.returncode == 0, errors
    losses = [[row["loss"] for row in read_history(config.output / "history.jsonl")] for config in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
