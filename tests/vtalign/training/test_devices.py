"""Two processes train what one trains: steps count examples over all devices, and recomputing activations changes nothing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vtalign.config import dump_config
from vtalign.training.config import TrainConfig
from vtalign.training.logs import read_history
from vtalign.training.recipe import run_recipe


@pytest.mark.slow
def test_two_devices_equal_one(recipe: Callable[..., TrainConfig], tmp_path: Path) -> None:
    dpo = {"max_steps": 3, "sft_weight": 0.5, "micro_batch": 2, "lora": {"r": 4, "alpha": 8}}
    one, two = (
        recipe(tmp_path / name, dpo=dpo, sft={"max_steps": 2}, gradient_checkpointing=name == "two") for name in ("one", "two")
    )
    run_recipe(one)
    file = tmp_path / "two.yaml"
    file.write_text(dump_config(two))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launch, "-m", "vtalign", "train", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 device(s)" in done.stdout and done.stdout.count("trained:") == 1
    weights = [load_file(config.output / "model/model.safetensors") for config in (one, two)]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=1e-5, rtol=1e-4)
    for row, other in zip(*(read_history(config.output / "history.jsonl") for config in (one, two)), strict=True):
        assert row.pop("stage") == other.pop("stage")
        # how many pairs share a row follows the cuts, and the sign of a margin of 1e-7 says nothing; nothing else differs
        for name in ("mean_group_size", "rewards/accuracies"):
            assert (row.pop(name, None) is None) == (other.pop(name, None) is None)
        assert other == pytest.approx(row, rel=1e-3, abs=1e-4)
