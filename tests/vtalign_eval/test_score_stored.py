"""`eval score` of a benchmark other than TempCompass, and of TempCompass from rows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from vtalign.errors import GateNotMet, InputError
from vtalign_eval.compare import compare_runs
from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval
from vtalign_eval.score import ScoreConfig, run_score

Replies = Callable[..., Path]


def score(data: Path, predictions: Path, out: Path, console: Console, **changes: float) -> dict:
    return run_score(ScoreConfig(benchmark="temporal-shapes", data=data, predictions=predictions, out=out, **changes), console)


def test_a_run_scored_from_its_samples_has_the_same_numbers(
    make_config: Callable[..., EvalConfig], shapes: Path, tmp_path: Path, quiet: Console
) -> None:
    ran = run_eval(make_config(), quiet)
    for name in ("samples_temporal-shapes.jsonl", "predictions.jsonl"):
        scored = score(shapes, tmp_path / "run" / name, tmp_path / f"scored-{name}", quiet)
        assert scored["results"] == ran["results"] and scored["vtalign"]["predictions"] == {"missing": 0, "null": 0, "unknown": 0}


def test_missing_and_null_replies_are_wrong_and_counted(
    shapes: Path, tmp_path: Path, quiet: Console, question_replies: Replies
) -> None:
    replies = question_replies(tmp_path / "r.jsonl", "left")
    whole = score(shapes, replies, tmp_path / "whole", quiet)["vtalign"]
    lines = replies.read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(lines[4:]) + lines[0].replace('"left"', "null") + json.dumps({"question_id": "who?", "reply": "left"}))
    part = score(shapes, cut, tmp_path / "part", quiet)["vtalign"]
    assert part["predictions"] == {"missing": 3, "null": 1, "unknown": 1}
    assert part["metrics"]["accuracy"]["n"] == whole["metrics"]["accuracy"]["n"] == 24
    for name in ("accuracy", "temporal", "temporal_strict", "static", "parse_rate", "temporal_lenient"):
        assert part["metrics"][name]["value"] <= whole["metrics"][name]["value"]
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    nothing = score(shapes, empty, tmp_path / "nothing", quiet)["vtalign"]
    assert nothing["metrics"]["accuracy"]["value"] == 0.0 and nothing["predictions"]["missing"] == 24


def test_two_scored_files_are_compared(shapes: Path, tmp_path: Path, quiet: Console, question_replies: Replies) -> None:
    for name, reply in (("left", "left"), ("nothing", None)):
        score(shapes, question_replies(tmp_path / f"{name}.jsonl", reply), tmp_path / name, quiet)
    found = compare_runs(tmp_path / "nothing", tmp_path / "left", console=quiet)
    assert found["metrics"]["accuracy"]["difference"] == 0.5 and len(found["flipped"]["fixed"]) == 12


def test_a_gate_and_a_folder(shapes: Path, tmp_path: Path, quiet: Console, question_replies: Replies) -> None:
    with pytest.raises(GateNotMet, match=r"temporal accuracy 0\.5000 is below 0\.9"):
        score(shapes, question_replies(tmp_path / "r.jsonl", "left"), tmp_path / "out", quiet, fail_under=0.9)
    with pytest.raises(InputError, match="temporal-shapes is scored from one JSONL file of replies"):
        score(shapes, tmp_path, tmp_path / "other", quiet)
