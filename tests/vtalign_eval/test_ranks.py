"""Evaluation on several ranks, as real processes of both launchers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval

Make = Callable[..., EvalConfig]
SAMPLES = "samples_temporal-shapes.jsonl"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")
# `--multi_gpu` starts several processes; without a GPU, and with `--cpu` always, accelerate starts one otherwise
ACCELERATE = ("-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--main_process_port", "0", "--num_processes")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def start(launcher: tuple[str, ...], ranks: int, config: EvalConfig) -> subprocess.Popen[str]:
    """`vtalign eval run` of `config` on so many CPU processes."""
    path = config.out.with_suffix(".yaml")
    path.write_text(json.dumps(config.model_dump(mode="json")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *launcher, str(ranks), "-m", "vtalign", "eval", "run", str(path)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def concluded(folder: Path) -> dict[str, bytes]:
    names = ("results.json", SAMPLES, "controls/shuffled/results.json", f"controls/shuffled/{SAMPLES}")
    return {name: (folder / name).read_bytes() for name in names}


def rows(folder: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in folder.rglob("predictions*.jsonl"))


@pytest.fixture
def config(make_config: Make) -> Callable[[str], EvalConfig]:
    return lambda out: make_config(out=out, likelihood=True, controls=("shuffled",), batch_size=2, device="cpu")


@pytest.mark.parametrize(("launcher", "ranks"), [(TORCHRUN, 2), (ACCELERATE, 3)])
def test_ranks_leave_the_bytes_of_one(
    launcher: tuple[str, ...], ranks: int, config: Callable[[str], EvalConfig], quiet: Console
) -> None:
    run_eval(config("one"), quiet)
    several = config("several")
    process = start(launcher, ranks, several)
    said, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]
    assert concluded(several.out) == concluded(config("one").out)
    assert said.count("accuracy %") == 2, "one table for the control and one for the run"
    assert len(list(several.out.glob("predictions*.jsonl"))) == ranks and not list(several.out.rglob("failures*"))


def test_a_run_killed_on_three_ranks_is_taken_up_by_one(config: Callable[[str], EvalConfig], quiet: Console) -> None:
    run_eval(config("one"), quiet)
    killed = config("killed")
    process = start(TORCHRUN, 3, killed)
    while process.poll() is None and rows(killed.out) < 27:
        time.sleep(0.005)
    for part in [*psutil.Process(process.pid).children(recursive=True), process]:
        part.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (killed.out / "results.json").exists()
    left = rows(killed.out)
    run_eval(killed, quiet)
    assert concluded(killed.out) == concluded(config("one").out)
    assert rows(killed.out) == 48 > left, "nothing is answered twice"


def test_a_rank_that_dies_ends_the_run(config: Callable[[str], EvalConfig], quiet: Console) -> None:
    dying = config("dying")
    process = start(TORCHRUN, 3, dying)
    while process.poll() is None and rows(dying.out) < 3:
        time.sleep(0.005)
    ranks = [child for child in psutil.Process(process.pid).children() if "vtalign" in child.cmdline()]
    assert len(ranks) == 3
    ranks[-1].kill()
    process.communicate(timeout=120)
    assert process.returncode != 0 and not (dying.out / "results.json").exists()
    run_eval(config("one"), quiet)
    run_eval(dying, quiet)
    assert concluded(dying.out) == concluded(config("one").out)


def test_what_cannot_be_read_is_said_once_and_ends_all(config: Callable[[str], EvalConfig], tmp_path: Path) -> None:
    process = start(TORCHRUN, 3, config("none").model_copy(update={"data": tmp_path / "nowhere"}))
    _, errors = process.communicate(timeout=240)
    assert process.returncode != 0
    assert errors.count("nowhere: no such data folder") == 1
    assert "Error: " not in errors.split("ChildFailedError")[0], "one line each, no traceback"


def test_failures_of_every_rank_are_counted(config: Callable[[str], EvalConfig], shapes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "videos").mkdir(parents=True)
    (data / "questions.jsonl").write_bytes((shapes / "questions.jsonl").read_bytes())
    for number, video in enumerate(sorted((shapes / "videos").iterdir())):
        (data / "videos" / video.name).write_bytes(b"<html>" if number in (0, 1) else video.read_bytes())
    both = []
    for out, ranks in (("one", 1), ("two", 2)):
        settings = config(out).model_copy(update={"data": data})
        process = start(TORCHRUN, ranks, settings)
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        both.append(concluded(settings.out))
    assert both[0] == both[1]
    assert json.loads(both[0]["results.json"])["vtalign"]["counts"]["decode_failed"] == 6
