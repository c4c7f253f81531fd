"""SIGKILL at random, recorded moments, inside a write and between its steps: the run that goes on gives the undisturbed rows."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig

from ..children import child_environment

# Runs a build and kills itself at the n-th step of writing anything: before the bytes, half way through them, before the
# rename, or after it. The operating system's own SIGKILL: nothing is cleaned up.
CHILD = """
import os, signal, sys
from pathlib import Path
from vtalign.config import load_config
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig

config, mode, at = load_config(BuildConfig, sys.argv[1]), sys.argv[2], int(sys.argv[3])
steps = 0
replace, rename = os.replace, os.rename

def die(where):
    with open(sys.argv[4], "a") as log:
        log.write(f"{mode} {at}: {where}\\n")
    os.kill(os.getpid(), signal.SIGKILL)

def counted(move):
    def moved(source, target):
        global steps
        steps += 1
        if steps == at and mode == "torn" and Path(source).is_file():
            os.truncate(source, os.path.getsize(source) // 2)
            die(f"half of {Path(target).name} written")
        if steps == at and mode in ("torn", "before"):
            die(f"before the rename to {Path(target).name}")
        move(source, target)
        if steps == at and mode == "after":
            die(f"after the rename to {Path(target).name}")
    return moved

os.replace, os.rename = counted(replace), counted(rename)
run_build(config)
with open(sys.argv[4], "a") as log:
    log.write(f"done after {steps} writes\\n")
"""


def rows_of(run: Path) -> dict[str, list[str]]:
    rows = {}
    for folder in (*sorted((run / "stages").iterdir()), run / "pairs"):
        found = [row for part in sorted(folder.glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
        rows[folder.name] = sorted(json.dumps(row, sort_keys=True) for row in found)
        if (folder / "rejected.jsonl").exists():
            rows[f"{folder.name} rejected"] = sorted((folder / "rejected.jsonl").read_text().splitlines())
    return rows


def leftovers(run: Path) -> list[str]:
    return [str(path.relative_to(run)) for path in run.rglob("*") if path.name.endswith(".partial")]


@pytest.fixture(scope="module")
def small(make_config: Callable[..., BuildConfig]) -> Callable[[Path], BuildConfig]:
    def make(out: Path) -> BuildConfig:
        return make_config(out, captions={"max_new_tokens": 4}, perturbations=[{"name": "shuffle", "strength": 2}])

    return make


@pytest.fixture(scope="module")
def undisturbed(small: Callable[[Path], BuildConfig], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    run_build(small(out))
    return rows_of(out)


class Runs:
    """Starts builds of one config in processes of their own and keeps a log of how each ended."""

    def __init__(self, config: BuildConfig, folder: Path) -> None:
        folder.mkdir()
        self.out, self.log = config.out, folder / "log.txt"
        self._config = folder / "config.json"
        self._config.write_text(config.model_dump_json())
        self._environment = child_environment()

    def start(self, mode: str = "none", at: int = 0) -> "subprocess.Popen[bytes]":
        arguments: list[Any] = [sys.executable, "-c", CHILD, self._config, mode, str(at), self.log]
        return subprocess.Popen(arguments, env=self._environment, stderr=subprocess.PIPE)

    def finish(self, process: "subprocess.Popen[bytes]") -> int:
        _, said = process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGKILL), said.decode()[-2000:]
        return process.returncode

    def run_to_the_end(self) -> int:
        """Returns the number of files that were written."""
        assert self.finish(self.start()) == 0
        return int(self.log.read_text().splitlines()[-1].split()[2])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_inside_writes(small, undisturbed, tmp_path: Path) -> None:
    """One kill in each kind of place, at write numbers drawn afresh in every run of the test; the log names them."""
    seed = random.SystemRandom().randrange(10**6)
    draw = random.Random(seed)
    runs = Runs(small(tmp_path / "run"), tmp_path / "killed")
    for mode in ("torn", "before", "after", "torn", "before"):
        runs.finish(runs.start(mode, draw.randint(1, 12)))
    runs.run_to_the_end()
    assert rows_of(runs.out) == undisturbed, f"seed {seed}:\n{runs.log.read_text()}"
    assert leftovers(runs.out) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_any_time(small, undisturbed, tmp_path: Path) -> None:
    """By the clock, from outside: inside decoding, generating, scoring, writing, starting."""
    seed = random.SystemRandom().randrange(10**6)
    draw = random.Random(seed)
    runs = Runs(small(tmp_path / "run"), tmp_path / "killed")
    moments = []
    while len(moments) < 12:
        process = runs.start()
        started, wait = time.monotonic(), draw.uniform(2, 12)
        while process.poll() is None and time.monotonic() - started < wait:
            time.sleep(0.02)
        if process.poll() is not None:
            assert runs.finish(process) == 0
            break
        process.kill()
        runs.finish(process)
        stages = runs.out / "stages"
        last = max((path.name for path in stages.iterdir()), default="start") if stages.is_dir() else "start"
        moments.append(f"{wait:.2f} s, in {last}")
    runs.run_to_the_end()
    assert rows_of(runs.out) == undisturbed, f"seed {seed}: {moments}"
    assert leftovers(runs.out) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_the_last_steps(small, undisturbed, tmp_path: Path) -> None:
    """The pairs folder appears whole or not at all, and so does the summary."""
    runs = Runs(small(tmp_path / "run"), tmp_path / "killed")
    total = Runs(small(tmp_path / "count"), tmp_path / "counted").run_to_the_end()
    assert runs.finish(runs.start("before", total - 1)) == -signal.SIGKILL
    assert "before the rename to pairs" in runs.log.read_text()
    assert not (runs.out / "pairs").exists()
    assert runs.finish(runs.start("torn", 1)) == -signal.SIGKILL  # part-00000 of the pairs again
    assert not (runs.out / "pairs").exists()
    assert runs.finish(runs.start("torn", 2)) == -signal.SIGKILL  # and their card
    assert not (runs.out / "pairs").exists()
    assert runs.finish(runs.start("after", 3)) == -signal.SIGKILL
    assert (runs.out / "pairs").exists() and not (runs.out / "summary.json").exists()
    runs.run_to_the_end()
    assert rows_of(runs.out) == undisturbed
    assert json.loads((runs.out / "summary.json").read_text())["pairs"] == len(undisturbed["pairs"])
    assert leftovers(runs.out) == []
