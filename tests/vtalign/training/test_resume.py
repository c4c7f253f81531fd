"""Kills with SIGKILL at steps and inside writes: what a resumed run ends with is what an uninterrupted run ends with."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vtalign.config import dump_config
from vtalign.training.config import TrainConfig
from vtalign.training.recipe import run_recipe

SCRIPT = Path(__file__).with_name("run_and_die.py")
LORA = {"r": 4, "alpha": 8, "dropout": 0.1}


@pytest.fixture
def short(recipe: Callable[..., TrainConfig], pairs_folder: Path, sft_file: Path) -> Callable[[Path], TrainConfig]:
    """Eight steps of DPO in two micro-batches each, with dropout so that random states matter; five of RRPO whose reference follows
    the policy; four of SFT."""

    def make(output: Path) -> TrainConfig:
        pairs = {"data": str(pairs_folder), "learning_rate": 1e-3, "pairs_per_step": 6}
        easy = {"order": "easy_to_hard"}
        stages = [
            {
                **pairs,
                "kind": "dpo",
                "name": "dpo",
                "max_steps": 8,
                "micro_batch": 3,
                "lora": LORA,
                "sft_weight": 0.1,
                "curriculum": easy,
            },
            {
                **pairs,
                "kind": "rrpo",
                "name": "rrpo",
                "max_steps": 5,
                "reference": "stage",
                "moving_reference": {"mix": 0.5, "every": 2},
            },
            {"kind": "sft", "name": "sft", "data": str(sft_file), "learning_rate": 1e-3, "rows_per_step": 6, "max_steps": 4},
        ]
        return recipe(output, stages=stages, save_every=3)

    return make


def start(config: TrainConfig, folder: Path, event: str = "never", path_end: str = "never") -> subprocess.Popen[str]:
    file = folder / "recipe.yaml"
    file.write_text(dump_config(config))
    command = [sys.executable, str(SCRIPT), str(file), event, path_end]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def kill_after_step(process: subprocess.Popen[str], history: Path, lines: int) -> None:
    """SIGKILL as soon as so many steps were logged."""
    while process.poll() is None and (not history.is_file() or history.read_text().count("\n") < lines):
        time.sleep(0.005)
    process.kill()
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors


def result(output: Path) -> dict[str, bytes]:
    """All that a run leaves for others: every file of the final model and the curve."""
    files = {path.name: path.read_bytes() for path in (output / "model").iterdir()}
    return {**files, "history": (output / "history.jsonl").read_bytes()}


def test_a_kill_at_a_random_step(short: Callable[[Path], TrainConfig], tmp_path: Path, whole: dict[str, bytes]) -> None:
    config = short(tmp_path / "run")
    step = random.SystemRandom().randrange(4, 17)
    kill_after_step(start(config, tmp_path), config.output / "history.jsonl", step)
    summary = run_recipe(config)
    assert result(config.output) == whole, f"killed after step {step}"
    assert [stage.steps for stage in summary.stages] == [8, 5, 4]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("event", "path_end"),
    [
        ("open", "checkpoint-3/trainer_state.json"),  # inside the first checkpoint
        ("open", "checkpoint-6/adapter_config.json"),  # inside the second, the first is whole
        ("open", "checkpoint-3/provenance.json"),  # between Trainer's files and the marker
        ("os.rename", "checkpoint-6/complete.json"),  # all written, the marker not
        ("open", "01-dpo/.adapter.partial/adapter_config.json"),  # while the adapter is saved
        ("os.rename", "01-dpo/model"),  # at the commit of a stage
        ("os.rename", "01-dpo/summary.json"),  # the stage's model there, its end not recorded
        ("os.rename", "01-dpo/model/README.md"),  # the stage recorded, the cards half written
        ("open", "02-rrpo/checkpoints/checkpoint-3/trainer_state.json"),  # the moving reference comes after it
        ("os.rename", "02-rrpo/checkpoints/checkpoint-3/complete.json"),  # all of the first checkpoint but its marker
        ("open", "03-sft/stage.json"),  # between the stages
        ("os.rename", "run/model"),  # at the very end
    ],
)
def test_a_kill_inside_a_write(
    short: Callable[[Path], TrainConfig], tmp_path: Path, whole: dict[str, bytes], event: str, path_end: str
) -> None:
    config = short(tmp_path / "run")
    process = start(config, tmp_path, event, path_end)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    run_recipe(config)
    assert result(config.output) == whole


@pytest.mark.slow
def test_many_kills_in_one_run(short: Callable[[Path], TrainConfig], tmp_path: Path, whole: dict[str, bytes]) -> None:
    config = short(tmp_path / "run")
    for lines in sorted(random.SystemRandom().sample(range(1, 17), 4)):
        kill_after_step(start(config, tmp_path), config.output / "history.jsonl", lines)
    run_recipe(config)
    assert result(config.output) == whole


@pytest.fixture
def whole(short: Callable[[Path], TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The result of a run that nobody killed (kept for the session: one is enough)."""
    kept = tmp_path_factory.getbasetemp() / "uninterrupted"
    if not (kept / "model").is_dir():
        config = short(kept)
        run_recipe(config)
    return result(kept)


def test_a_torn_checkpoint_is_not_resumed_from(
    short: Callable[[Path], TrainConfig], tmp_path: Path, whole: dict[str, bytes]
) -> None:
    config = short(tmp_path / "run")
    kill_after_step(start(config, tmp_path), config.output / "history.jsonl", 7)
    checkpoints = config.output / "stages/01-dpo/checkpoints"
    newest = max(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    weights = newest / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    shutil.copytree(newest, checkpoints / "checkpoint-7")
    (checkpoints / "checkpoint-7/complete.json").unlink(missing_ok=True)
    run_recipe(config)
    assert result(config.output) == whole
    kept = sorted(path.name for path in checkpoints.iterdir())
    assert kept == ["checkpoint-6", "checkpoint-8"]
