"""Which tasks are scored, and what a gate wants of them."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import GateNotMet, InputError
from vtalign_eval.score import ScoreConfig, run_score

QUIET = Console(quiet=True)
RULED = ("multi-choice", "yes_no", "caption_matching")


def config(data: Path, predictions: Path, **changes: Any) -> ScoreConfig:
    return ScoreConfig(data=data, predictions=predictions, out=data.parent / "scored", **changes)


@pytest.fixture
def one_task(perfect: Path) -> Path:
    """Right predictions of one task alone: all that is scored is right."""
    for task in ("multi-choice", "yes_no", "captioning"):
        (perfect / f"{task}.json").unlink()
    return perfect


def test_a_gate_is_not_passed_by_leaving_tasks_out(tempcompass: Path, one_task: Path) -> None:
    with pytest.raises(InputError) as error:
        run_score(config(tempcompass, one_task, fail_under=0.6), QUIET)
    line = str(error.value)
    assert "multi-choice: no multi-choice.json among the predictions; yes_no: no yes_no.json" in line
    assert "tasks=[caption_matching]" in line and "captioning:" not in line and "\n" not in line
    assert not (tempcompass.parent / "scored").exists()


def test_questions_that_are_left_out_are_no_way_around_it(tempcompass: Path, perfect: Path) -> None:
    (tempcompass / "questions" / "yes_no.json").unlink()
    with pytest.raises(InputError, match="yes_no: the data folder has no questions"):
        run_score(config(tempcompass, perfect, fail_under=0.6), QUIET)


def test_captions_are_not_missed_by_a_gate(tempcompass: Path, perfect: Path) -> None:
    (perfect / "captioning.json").unlink()
    assert run_score(config(tempcompass, perfect, fail_under=1.0), QUIET)["vtalign"]["metrics"]["temporal"]["value"] == 1.0


def test_tasks_that_are_named_count_alone_and_the_record_says_so(tempcompass: Path, perfect: Path) -> None:
    (perfect / "multi-choice.json").write_text("")
    with pytest.raises(GateNotMet):
        run_score(config(tempcompass, perfect, fail_under=0.9), QUIET)
    named = config(tempcompass, perfect, fail_under=0.9, tasks=("yes_no",)).model_copy(update={"out": tempcompass / "named"})
    found = run_score(named, QUIET)
    assert found["config"]["tasks"] == ["yes_no"] and found["vtalign"]["metrics"]["temporal"]["n"] == 3
    assert found["vtalign"]["not_scored"]["multi-choice"] == "only yes_no was asked for (tasks)"
    assert list(found["vtalign"]["not_scored"]) == ["multi-choice", "caption_matching", "captioning"]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("yes-no", "'yes-no' is no task of TempCompass"),
        ("yes_no", "yes_no cannot be scored: no yes_no.json among the predictions"),
    ],
)
def test_a_task_that_cannot_be_scored_is_refused(tempcompass: Path, one_task: Path, task: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_score(config(tempcompass, one_task, tasks=(task,)), QUIET)


def test_tasks_are_those_of_tempcompass(shapes: Path, tmp_path: Path) -> None:
    settings = {"benchmark": "temporal-shapes", "data": shapes, "predictions": tmp_path / "r.jsonl", "out": tmp_path / "out"}
    with pytest.raises(InputError, match="tasks: temporal-shapes is scored as a whole"):
        run_score(ScoreConfig(**settings, tasks=("yes_no",)), QUIET)


def test_rows_about_one_task_leave_the_others_wrong(tempcompass: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question_id": "caption_matching:1:direction:0", "reply": "Caption A"}) + "\n")
    with pytest.raises(GateNotMet, match=r"temporal accuracy 0\.1429 is below 0\.6"):
        run_score(config(tempcompass, path, fail_under=0.6), QUIET)
    results = json.loads((tempcompass.parent / "scored" / "results.json").read_text())["vtalign"]
    assert [results["tempcompass"][task]["counts"]["missing"] for task in RULED] == [3, 3, 0]
    assert results["not_scored"] == {"captioning": "rows.jsonl has none of the predictions"}


def test_what_is_not_scored_stands_in_the_table(tempcompass: Path, one_task: Path) -> None:
    text = StringIO()
    found = run_score(config(tempcompass, one_task), Console(file=text, width=80))
    head = text.getvalue().partition("───")[0]
    assert all(name in head for name in ("multi-choice", "yes", "captioning"))
    assert head.splitlines()[-1].split().count("scored") == 3
    assert "yes_no: not scored: no yes_no.json among the predictions" in text.getvalue()
    assert list(found["vtalign"]["not_scored"]) == ["multi-choice", "yes_no", "captioning"]
