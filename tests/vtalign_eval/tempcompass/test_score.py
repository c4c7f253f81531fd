"""`vtalign eval score` from files to files."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import GateNotMet, InputError
from vtalign_eval.compare import compare_runs
from vtalign_eval.score import ScoreConfig, run_score

QUIET = Console(quiet=True)


def config(data: Path, predictions: Path, out: str = "scored", **changes: Any) -> ScoreConfig:
    return ScoreConfig(data=data, predictions=predictions, out=data.parent / out, **changes)


def averages(results: dict[str, Any], reading: str = "rule") -> dict[str, float]:
    found = results["vtalign"]["tempcompass"]
    return {task: figures[reading]["avg"]["accuracy"] for task, figures in found.items() if reading in figures}


def edit(folder: Path, task: str, change: Any) -> None:
    path = folder / f"{task}.json"
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def test_right_predictions_score_100_and_captions_need_a_judge(tempcompass: Path, perfect: Path) -> None:
    results = run_score(config(tempcompass, perfect), QUIET)
    assert averages(results) == {"multi-choice": 100.0, "yes_no": 100.0, "caption_matching": 100.0}
    assert results["vtalign"]["tempcompass"]["captioning"]["needs_judge"] is True
    assert results["vtalign"]["metrics"]["temporal_strict"]["value"] == 1.0
    assert results["vtalign"]["counts"]["questions"] == 7, "captions are in no metric"


def test_the_files_of_tempcompass_come_back(tempcompass: Path, perfect: Path) -> None:
    run_score(config(tempcompass, perfect), QUIET)
    out = tempcompass.parent / "scored"
    for path in perfect.iterdir():
        assert json.loads((out / "predictions" / path.name).read_text()) == json.loads(path.read_text())
    graded = json.loads((out / "auto_eval_results_disable_llm" / "yes_no.json").read_text())
    assert graded["1"]["direction"][1] == {
        "question": "Right?",
        "gt-answer": "no",
        "video-llm-prediction": "no",
        "match_success": True,
        "rating": 1,
    }
    assert not (out / "auto_eval_results_disable_llm" / "captioning.json").exists()


def test_what_is_missing_lowers_the_score_and_is_counted(tempcompass: Path, perfect: Path) -> None:
    edit(perfect, "yes_no", lambda found: found.pop("1_reverse"))
    (perfect / "multi-choice.json").write_text("")
    (perfect / "caption_matching.json").unlink()
    results = run_score(config(tempcompass, perfect), QUIET)
    assert averages(results) == {"multi-choice": 0.0, "yes_no": 66.7}
    assert results["vtalign"]["tempcompass"]["yes_no"]["counts"]["missing"] == 1
    assert results["vtalign"]["not_scored"] == {"caption_matching": "no caption_matching.json among the predictions"}


def test_readings_are_separate_columns(tempcompass: Path, perfect: Path) -> None:
    def chat(found: Any) -> None:
        found["1"]["direction"][0]["prediction"] = "It moves, so the answer is A."
        found["2"]["order"][0]["prediction"] = None

    edit(perfect, "multi-choice", chat)
    results = run_score(config(tempcompass, perfect), QUIET)
    assert (averages(results)["multi-choice"], averages(results, "lenient")["multi-choice"]) == (33.3, 66.7)
    task = results["vtalign"]["tempcompass"]["multi-choice"]
    assert task["match_rate"] == 33.3
    assert (task["counts"]["unmatched"], task["counts"]["null"]) == (1, 1)
    assert task["replies"]["rule"] == {"B": 1, "none": 2} and task["replies"]["lenient"] == {"A": 1, "B": 1, "none": 1}


def test_who_says_the_same_of_siblings_gets_no_group_right(tempcompass: Path, perfect: Path) -> None:
    edit(perfect, "multi-choice", lambda found: found["1_reverse"]["direction"][0].update(prediction="A"))
    task = run_score(config(tempcompass, perfect), QUIET)["vtalign"]["tasks"]["multi-choice"]
    assert (task["strict"]["value"], task["same_answer_rate"]["value"]) == (0.0, 1.0)


def test_two_scored_models_are_compared(tempcompass: Path, perfect: Path, tmp_path: Path) -> None:
    worse = tmp_path / "worse"
    worse.mkdir()
    for path in perfect.iterdir():
        (worse / path.name).write_text(path.read_text())
    edit(worse, "yes_no", lambda found: found["1"]["direction"][0].update(prediction="no"))
    for name, folder in (("before", worse), ("after", perfect)):
        run_score(config(tempcompass, folder, name), QUIET)
    found = compare_runs(tmp_path / "before", tmp_path / "after", console=QUIET)
    assert [flip["question_id"] for flip in found["flipped"]["fixed"]] == ["yes_no:1:direction:0"]


def test_a_gate_is_held_after_everything_is_written(tempcompass: Path, perfect: Path) -> None:
    (perfect / "yes_no.json").write_text("{}")
    with pytest.raises(GateNotMet, match=r"temporal accuracy 0\.5714 is below 0\.9"):
        run_score(config(tempcompass, perfect, fail_under=0.9), QUIET)
    assert (tempcompass.parent / "scored" / "results.json").is_file()


def test_other_predictions_do_not_go_into_the_same_folder(tempcompass: Path, perfect: Path) -> None:
    run_score(config(tempcompass, perfect), QUIET)
    first = (tempcompass.parent / "scored" / "results.json").read_bytes()
    run_score(config(tempcompass, perfect), QUIET)
    assert (tempcompass.parent / "scored" / "results.json").read_bytes() == first
    (perfect / "yes_no.json").write_text("{}")
    with pytest.raises(InputError, match="holds another run"):
        run_score(config(tempcompass, perfect), QUIET)


def test_scores_have_a_page_without_frames(tempcompass: Path, perfect: Path) -> None:
    run_score(config(tempcompass, perfect), QUIET)
    page = (tempcompass.parent / "scored" / "report.html").read_text()
    assert "TempCompass, as published" in page and "needs a judge" in page
    assert "<img" not in page and "No frames are shown" in page


def test_torch_is_not_imported() -> None:
    code = "import sys, vtalign_eval.score; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
