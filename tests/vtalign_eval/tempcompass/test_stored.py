"""TempCompass predictions that are stored as rows: ours, and those of lmms-eval."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import InputError
from vtalign_eval.score import ScoreConfig, run_score
from vtalign_eval.tempcompass.stored import stored_files

QUIET = Console(quiet=True)


def figures(data: Path, predictions: Path, out: str = "scored") -> dict[str, Any]:
    return run_score(ScoreConfig(data=data, predictions=predictions, out=data.parent / out), QUIET)["vtalign"]["tempcompass"]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_of_ours_answer_every_task_that_rules_grade(tempcompass: Path, tmp_path: Path) -> None:
    rows = [
        {"question_id": "multi-choice:1:direction:0", "reply": "A"},
        {"question_id": "multi-choice:9:direction:0", "reply": "A"},
        {"question_id": "yes_no:1:direction:0", "reply": "Yes."},
        {"question_id": "yes_no:1:direction:1", "reply": None},
    ]
    found = figures(tempcompass, write(tmp_path / "replies.jsonl", rows))
    assert list(found) == ["multi-choice", "yes_no", "caption_matching"], "captions that no row is about were not asked"
    assert [found[task]["rule"]["avg"]["correct"] for task in found] == [1, 1, 0]
    choice, yes_no, matching = (found[task]["counts"] for task in found)
    assert (matching["missing"], matching["unknown"], matching["questions"]) == (1, 0, 1)
    assert (choice["missing"], choice["unknown"], choice["null"]) == (2, 1, 0)
    assert (yes_no["missing"], yes_no["unknown"], yes_no["null"]) == (1, 0, 1)


def test_samples_of_lmms_eval_are_aligned_by_video_aspect_and_question(tempcompass: Path, perfect: Path, tmp_path: Path) -> None:
    """In another order than ours, as its copy of the data is."""
    folder = tmp_path / "model"
    folder.mkdir()
    for task in ("multi-choice", "yes_no", "captioning"):
        rows = [
            {
                "doc_id": 0,
                "filtered_resps": "not read",
                "avg_accuracy": {
                    "video_id": video,
                    "dim": dim,
                    "question": row["question"],
                    "gt-answer": "A. left" if task == "captioning" else row["answer"],
                    "video-llm-prediction": row["prediction"],
                    "rating": 0,
                },
            }
            for video, dims in json.loads((perfect / f"{task}.json").read_text()).items()
            for dim, given in dims.items()
            for row in given
        ]
        write(folder / f"20260101_000000_samples_tempcompass_{task.replace('-', '_')}.jsonl", rows[::-1])
    found = figures(tempcompass, folder)
    assert {task: found[task]["rule"]["avg"]["accuracy"] for task in ("multi-choice", "yes_no")} == {
        "multi-choice": 100.0,
        "yes_no": 100.0,
    }
    assert all(
        here["counts"]["missing"] == here["counts"]["unknown"] == here["counts"]["other_answer"] == 0 for here in found.values()
    )
    one = figures(tempcompass, next(folder.glob("*yes_no*")), "one")
    assert list(one) == ["yes_no"]


def test_what_is_no_file_of_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give a folder of <task>"):
        stored_files(write(tmp_path / "multi-choice.txt", []))
    with pytest.raises(InputError, match=r"rows\.jsonl:1: question_id: 'q7' does not begin with one of multi-choice, yes_no"):
        stored_files(write(tmp_path / "rows.jsonl", [{"question_id": "q7", "reply": "A"}]))
    with pytest.raises(InputError, match="holds no predictions"):
        stored_files(write(tmp_path / "empty.jsonl", []))
    for date in ("20260101_000000", "20260102_000000"):
        write(tmp_path / f"{date}_samples_tempcompass_yes_no.jsonl", [])
    with pytest.raises(InputError, match="holds 2 runs of yes_no"):
        stored_files(tmp_path)


def test_a_samples_row_without_its_metric_is_named(tempcompass: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "20260101_000000_samples_tempcompass_yes_no.jsonl", [{"doc_id": 0, "filtered_resps": "yes"}])
    with pytest.raises(InputError, match=r"yes_no\.jsonl:1: avg_accuracy: is required"):
        figures(tempcompass, path)
