"""A benchmark of a user's own: a package with 30 lines, really built and installed, used by the commands."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from vtalign_eval.check import CheckConfig, check_eval
from vtalign_eval.compare import compare_runs
from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval
from vtalign_eval.score import ScoreConfig, run_score

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "arrow-benchmark"
version = "1.0"

[project.entry-points."vtalign.benchmarks"]
arrow-of-time = "arrow_benchmark:ARROW"

[tool.setuptools]
py-modules = ["arrow_benchmark"]
"""
# The README's example: its own file format and a grader of its own, which reads the last word of a reply.
MODULE = """
import csv
from pathlib import Path

from vtalign_eval.benchmarks import Benchmark, Grade, Item


def load(data: Path) -> list[Item]:
    with (data / "questions.csv").open() as file:
        return [
            Item(
                question_id=row["id"],
                video=row["video"],
                family=row["source"],
                aspect="order",
                question="Does it run forwards or backwards?",
                options=("forwards", "backwards"),
                answer=row["answer"],
                group=row["source"],
            )
            for row in csv.DictReader(file)
        ]


def grade(reply: str | None, item: Item) -> Grade:
    words = (reply or "").lower().strip(" .").split()
    said = words[-1] if words and words[-1] in item.options else None
    return Grade(said, said == item.answer, said, said == item.answer)


ARROW = Benchmark("arrow-of-time", load, question_files=("questions.csv",), grade=grade, temporal_aspects=("order",))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the package."""
    source, target = tmp_path_factory.mktemp("arrow"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "arrow_benchmark.py").write_text(MODULE)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return target


@pytest.fixture
def arrow(installed: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data of that benchmark: pairs of siblings. The package can be imported."""
    monkeypatch.syspath_prepend(str(installed))
    data = tmp_path / "arrow"
    data.mkdir()
    shutil.copytree(shapes / "videos", data / "videos")
    rows = [f"{f}{s},videos/f{f}-{s}.mp4,f{f},{'forwards' if s == 'a' else 'backwards'}\n" for f in range(4) for s in "ab"]
    (data / "questions.csv").write_text("id,video,source,answer\n" + "".join(rows))
    return data


@pytest.mark.slow
def test_it_is_checked_run_scored_and_compared(
    arrow: Path, make_config: Callable[..., EvalConfig], tmp_path: Path, quiet: Console
) -> None:
    checked = check_eval(CheckConfig(benchmark="arrow-of-time", data=arrow))
    assert (
        "arrow-of-time: 8 questions about 8 videos, which measure temporal_strict" in checked
        and "hash of the question files" in checked
    )
    ran = run_eval(make_config(benchmark="arrow-of-time", data=arrow), quiet)
    assert ran["vtalign"]["metrics"]["temporal_strict"]["n"] == 4
    assert ran["vtalign"]["data"]["question_files"].keys() == {"questions.csv"}
    replies = tmp_path / "replies.jsonl"
    said = [{"question_id": f"{f}{s}", "reply": "It runs forwards."} for f in range(4) for s in "ab"]
    replies.write_text("".join(json.dumps(row) + "\n" for row in said))
    for name in ("one", "two"):
        scored = run_score(ScoreConfig(benchmark="arrow-of-time", data=arrow, predictions=replies, out=tmp_path / name), quiet)[
            "vtalign"
        ]
    assert (scored["metrics"]["accuracy"]["value"], scored["metrics"]["temporal_strict"]["value"]) == (0.5, 0.0)
    assert scored["metrics"]["same_answer_rate"]["value"] == 1.0
    same = compare_runs(tmp_path / "one", tmp_path / "two", console=quiet)
    assert same["benchmark"] == "arrow-of-time" and same["metrics"]["accuracy"]["difference"] == 0.0


@pytest.mark.slow
def test_the_command_line_knows_it(arrow: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "vtalign", "eval", "check", "--benchmark", "arrow-of-time", "--data", arrow]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("arrow-of-time: 8 questions")
