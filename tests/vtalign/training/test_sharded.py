"""Weights spread over two processes with FSDP2: every family, resuming, and when a checkpoint is complete."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vtalign.training.checkpoints import is_complete
from vtalign.training.config import TrainConfig

Launch = Callable[[str, TrainConfig], subprocess.Popen[str]]


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def kill_after(process: subprocess.Popen[str], history: Path, lines: int) -> None:
    """SIGKILL to both processes and their launcher as soon as so many steps were logged."""
    while process.poll() is None and (not history.is_file() or history.read_text().count("\n") < lines):
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors


def result(output: Path) -> dict[str, bytes]:
    """All that a run leaves for others: every file of every model and adapter, and the curve."""
    left = [path for folder in ("model", "stages/*/model", "stages/*/adapter") for path in output.glob(f"{folder}/*")]
    return {str(path.relative_to(output)): path.read_bytes() for path in [*left, output / "history.jsonl"]}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_run_resumes_to_the_same_bytes(recipe: Callable[..., TrainConfig], launch: Launch, tmp_path: Path) -> None:
    """Killed while it trains an adapter (between two checkpoints), and again while it trains whole weights."""
    dpo = {"max_steps": 5, "micro_batch": 2, "lora": {"r": 4, "alpha": 8, "dropout": 0.1}}
    whole, killed = (
        recipe(tmp_path / name, dpo=dpo, sft={"max_steps": 5, "micro_batch": 2}, save_every=2) for name in ("whole", "killed")
    )
    finish(launch("fsdp2_cpu", whole))
    for lines in (3, 8):
        kill_after(launch("fsdp2_cpu", killed), killed.output / "history.jsonl", lines)
    finish(launch("fsdp2_cpu", killed))
    assert result(killed.output) == result(whole.output)
    assert {"stages/01-dpo/adapter/adapter_model.safetensors", "model/model.safetensors"} <= result(whole.output).keys()
    checkpoints = list(whole.output.glob("stages/*/checkpoints/checkpoint-*"))
    assert len(checkpoints) == 4 and all(is_complete(path) for path in checkpoints)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("script", ["sharded_families", "marked_last"])
def test_in_two_processes(script: str, project_root: Path) -> None:
    config = project_root / "configs/accelerate/fsdp2_cpu.yaml"
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", str(config), "-m"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, f"tests.vtalign.training.{script}"],
        cwd=project_root,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("as it should be") == 2
