"""A few of each of the faults of `benchmarks/faults.py`: killed runs and workers, damaged videos, a failing server, a full disk."""

import importlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ..children import child_environment


@pytest.fixture
def faults(project_root: Path) -> Callable[..., list[str]]:
    """Runs `faults.py` with arguments; the lines that it prints. Its exit code has to be 0."""

    def run(*arguments: object) -> list[str]:
        environment = child_environment()
        command = [sys.executable, project_root / "benchmarks" / "faults.py", *map(str, arguments)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1100, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
        return ended.stdout.splitlines()

    return run


@pytest.fixture
def module(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A file of `benchmarks/` by name."""
    monkeypatch.syspath_prepend(project_root / "benchmarks")
    return importlib.import_module


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("command", "number"), [("eval", 25), ("score", 25), ("build", 4)])
def test_killed_many_times_it_leaves_the_bytes_of_an_undisturbed_run(faults, command: str, number: int) -> None:
    said = faults(command, "--kills", number, "--seed", 0)
    kills = [line for line in said if line.startswith("kill ")]
    assert len(kills) == number
    if number == 25:  # the moments are what they claim to be: some by the clock, some inside writes
        assert any(" s: " in line for line in kills) and any("torn write step" in line for line in kills)
    if command == "eval":
        replies = {line.split(": ")[2].split()[0] for line in kills}
        assert "0" in replies and len(replies) > 3, "kills while it loads and in the middle of answering"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("target", ["decoder", "model"])
def test_a_killed_worker_changes_nothing(faults, target: str) -> None:
    assert [line for line in faults("workers", target, "--kills", 1) if line.startswith("kill ")]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_build_over_damaged_copies_of_real_videos(faults, shared_data: Path, tmp_path: Path) -> None:
    clips = [path for path in (shared_data / "clips").iterdir() if path.suffix != ".json"]
    for path in sorted(clips, key=lambda path: path.stat().st_size)[:14]:
        shutil.copy(path, tmp_path)
    said = faults("mutations", "--count", 24, "--videos", tmp_path)
    total = next(line for line in said if line.startswith("| all "))
    files, accepted, *_ = (int(cell) for cell in total.split("|")[2:-1])
    assert files == 24 and 0 < accepted < 24, "some damage is found, and some does no harm"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_build_behind_a_failing_server(faults) -> None:
    with_retries, without = (line for line in faults("server", "all") if line.startswith("all "))
    assert "equal to the undisturbed run" in with_retries and "lost nothing" in with_retries
    assert "every loss has its line" in without and "lost {" in without


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_build_whose_disk_fills_up(faults) -> None:
    said = faults("disk", "--times", 1)
    if said[-1].startswith("skipped"):
        pytest.xfail(said[-1])  # a right that a machine does not give is nothing that could be installed
    assert "one line, exit 1" in said[-2]


def test_damage_is_seeded_and_never_nothing(module) -> None:
    mutations = module("faults_mutations")
    content, other = random.Random(0).randbytes(20_000), bytes(20_000)
    movie = b"\0\0\0\x20ftypisom" + content[:500] + b"moovmvhd" + bytes(100) + content
    for kind in mutations.MUTATIONS:
        for given in (content, movie):
            damaged = [mutations.mutated(kind, given, other, random.Random(seed)) for seed in (1, 1, 2)]
            assert damaged[0] == damaged[1] != damaged[2] and given not in damaged, kind
        nearly_nothing = bytes(2000) + b"\1"
        assert mutations.mutated(kind, nearly_nothing, other, random.Random(1)) != nearly_nothing, "not zeros over zeros"
    lies = {mutations.mutated("lying header", movie, other, random.Random(seed)) for seed in range(20)}
    at = movie.index(b"mvhd") + 4
    assert all(lie[:at] == movie[:at] and lie[at + 32 :] == movie[at + 32 :] for lie in lies), "numbers of the one box there is"


def test_files_of_a_build_are_compared_but_for_clock_and_decodes(module, tmp_path: Path) -> None:
    build_files = module("faults_files").build_files

    def written(name: str, decodes: int, calls: int, row: int) -> Any:
        stage = tmp_path / name / "stages" / "02-ingest"
        stage.mkdir(parents=True)
        usage = {"model_calls": calls, "decodes": decodes, "probes": decodes, "reads": decodes, "frames": decodes}
        schema = pa.schema([("n", pa.int64())], {b"vtalign.usage": json.dumps(usage).encode()})
        pq.write_table(pa.table({"n": [row]}, schema=schema), stage / "part-00000.parquet")
        (stage / "complete.json").write_text(json.dumps({"kept": 1, "usage": usage}))
        counted = {"usage": usage, "decodes": {"read": decodes}, "stages": [{"usage": usage}]}
        summary = {"out": name, "seconds": decodes, **counted, "statistics": {}}
        (tmp_path / name / "summary.json").write_text(json.dumps(summary))
        return build_files(tmp_path / name)

    first = written("first", 1, 5, 7)
    differences = module("faults_files").differences
    assert len(first) == 3 and differences(written("decoded_more", 2, 5, 7), first) == []
    assert len(differences(written("asked_more", 1, 6, 7), first)) == 3
    assert differences(written("another_row", 1, 5, 8), first) == ["stages/02-ingest/part-00000.parquet differs"]


def test_a_difference_is_found(module) -> None:
    """The comparison itself: a file that differs, one that is missing and one that was left over are all named."""
    found = module("faults_files").differences({"a": b"1", "c": b""}, {"a": b"2", "b": b""})
    assert found == ["b is missing", "c is left over", "a differs"]
