"""Exported runs, read back as the other tools read them (their field names, not our writers)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import InputError
from vtalign_eval.export import export_run, sanitised_model
from vtalign_eval.score import ScoreConfig, run_score

QUIET = Console(quiet=True)
CHOICE = "Which way?\nA. left\nB. right"


@pytest.fixture
def tempcompass_run(tmp_path: Path) -> Path:
    """Three tasks: multi-choice (2 of 3 right, one of two aspects each), yes_no (an unmatched and a null reply), a caption."""
    data, predictions, out = tmp_path / "data", tmp_path / "some" / "model", tmp_path / "run"
    (data / "questions").mkdir(parents=True)
    predictions.mkdir(parents=True)
    asked: dict[str, list[tuple[str, str, str, str, str | None]]] = {
        "multi-choice": [
            ("1", "direction", CHOICE, "A. left", "A"),
            ("1_reverse", "direction", CHOICE, "B. right", "A. left"),
            ("2", "order", CHOICE, "B. right", "B. right"),
        ],
        "yes_no": [
            ("1", "speed", "Fast?", "yes", "surely"),
            ("2", "speed", "Fast?", "no", None),
            ("3", "speed", "Fast?", "no", "No."),
        ],
        "captioning": [("1", "direction", "Describe.", "A. left", "It goes left.")],
    }
    for task, rows in asked.items():
        questions: dict[str, Any] = {}
        replies: dict[str, Any] = {}
        for video, aspect, question, answer, reply in rows:
            row = {"question": question, "answer": answer}
            questions.setdefault(video, {}).setdefault(aspect, []).append(row)
            replies.setdefault(video, {}).setdefault(aspect, []).append({**row, "prediction": reply})
        (data / "questions" / f"{task}.json").write_text(json.dumps(questions))
        (predictions / f"{task}.json").write_text(json.dumps(replies))
    run_score(ScoreConfig(data=data, predictions=predictions, out=out), QUIET)
    return out


def accuracies(logs: list[dict[str, Any]]) -> dict[str, float]:
    """As TempCompass's `utils/acc_lmms_eval.py` counts: by `doc.dim` and overall, in per cent."""
    found: dict[str, list[int]] = {}
    for entry in logs:
        for name in (entry["doc"]["dim"], "avg"):
            found.setdefault(name, []).append(entry["avg_accuracy"]["rating"])
    return {name: round(100 * sum(ratings) / len(ratings), 1) for name, ratings in found.items()}


def assert_same_as_own_figures(run: Path, folder: Path) -> None:
    figures = json.loads((run / "tempcompass.json").read_text())
    for task in ("multi-choice", "yes_no", "caption_matching"):
        if task in figures:
            found = accuracies(json.loads((folder / f"tempcompass_{task.replace('-', '_')}.json").read_text())["logs"])
            expected = {name: figure["accuracy"] for name, figure in figures[task]["rule"]["aspects"].items()}
            assert found == {"avg": figures[task]["rule"]["avg"]["accuracy"], **expected}


def test_leaderboard_files_hold_the_figures_of_the_run(tempcompass_run: Path, tmp_path: Path) -> None:
    written = export_run(tempcompass_run, "tempcompass", tmp_path / "board")
    # captions that nobody has judged have no rating to hand in
    assert [path.name for path in written] == ["tempcompass_multi_choice.json", "tempcompass_yes_no.json"]
    assert_same_as_own_figures(tempcompass_run, tmp_path / "board")
    first = json.loads(written[0].read_text())["logs"][0]
    assert (first["doc_id"], first["target"], first["resps"], first["filtered_resps"]) == (0, "A. left", [["A"]], ["A"])
    assert first["doc"] == {"video_id": "1", "question": CHOICE, "answer": "A. left", "dim": "direction"}
    unmatched, null, _ = json.loads(written[1].read_text())["logs"]
    assert [entry["avg_accuracy"]["match_success"] for entry in (unmatched, null)] == [False, False]
    assert null["resps"] == [[""]]


def test_leaderboard_files_of_a_published_model(shared_data: Path, tmp_path: Path) -> None:
    data = shared_data / "tempcompass"
    run_score(ScoreConfig(data=data, predictions=data / "predictions" / "video-llava", out=tmp_path / "run"), QUIET)
    export_run(tmp_path / "run", "tempcompass", tmp_path / "board")
    assert_same_as_own_figures(tmp_path / "run", tmp_path / "board")
    logs = json.loads((tmp_path / "board" / "tempcompass_multi_choice.json").read_text())["logs"]
    assert accuracies(logs) == {
        "action": 76.0, "direction": 35.2, "speed": 35.6, "order": 37.7, "attribute_change": 41.0, "avg": 45.6,
    }  # fmt: skip


def test_lmms_eval_finds_tempcompass_as_tasks_of_its_own(tempcompass_run: Path, tmp_path: Path) -> None:
    *samples, results = export_run(tempcompass_run, "lmms-eval", tmp_path / "logs")
    date = results.name.removesuffix("_results.json")
    assert results.parent == tmp_path / "logs" / "some__model" and len(date) == len("20260102_030405")
    assert [path.name for path in samples] == [f"{date}_samples_tempcompass_{task}.jsonl" for task in ("multi_choice", "yes_no")]
    found = json.loads(results.read_text())
    assert found["results"]["tempcompass_multi_choice"]["avg_accuracy,none"] == pytest.approx(200 / 3)
    assert found["results"]["tempcompass_multi_choice"]["direction_accuracy,none"] == 50.0
    assert found["date"] == date and found["n-samples"]["tempcompass_yes_no"] == {"original": 3, "effective": 3}
    rows = [json.loads(line) for line in samples[1].read_text().splitlines()]
    assert "doc" not in rows[0] and rows[2]["filtered_resps"] == "No." and rows[2]["resps"] == ["No."]
    assert [[key for key in row if "score" in key] for row in rows] == [["score"]] * 3
    assert [row["score"] for row in rows] == [0.0, 0.0, 1.0]


def test_exported_samples_score_the_same(tempcompass_run: Path, tmp_path: Path) -> None:
    folder = export_run(tempcompass_run, "lmms-eval", tmp_path / "logs")[0].parent
    again = run_score(ScoreConfig(data=tmp_path / "data", predictions=folder, out=tmp_path / "again"), QUIET)
    ours, theirs = json.loads((tempcompass_run / "tempcompass.json").read_text()), again["vtalign"]["tempcompass"]
    for task in ("multi-choice", "yes_no"):
        assert theirs[task]["rule"] == ours[task]["rule"]
    # lmms-eval writes a reply where there was none; it is empty and as wrong
    assert (ours["yes_no"]["counts"]["null"], theirs["yes_no"]["counts"]["null"]) == (1, 0)


def test_any_other_benchmark_is_one_task(shapes: Path, tmp_path: Path, question_replies: Callable[..., Path]) -> None:
    replies = question_replies(tmp_path / "replies.jsonl", "left")
    run_score(ScoreConfig(benchmark="temporal-shapes", data=shapes, predictions=replies, out=tmp_path / "run"), QUIET)
    samples, results = export_run(tmp_path / "run", "lmms-eval", tmp_path / "logs")
    assert samples.name.endswith("_samples_temporal-shapes.jsonl") and results.name.endswith("_results.json")
    ours = json.loads((tmp_path / "run" / "results.json").read_text())
    assert json.loads(results.read_text())["results"] == ours["results"]
    scores = [json.loads(line)["score"] for line in samples.read_text().splitlines()]
    assert sum(scores) / len(scores) == ours["results"]["temporal-shapes"]["accuracy,none"] == 0.5
    with pytest.raises(InputError, match="is a run of temporal-shapes; only one of tempcompass has that layout"):
        export_run(tmp_path / "run", "tempcompass", tmp_path / "board")


def test_an_unfinished_run_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished evaluation"):
        export_run(tmp_path, "lmms-eval", tmp_path / "logs")


@pytest.mark.parametrize("model", ["..", ".", "../.."])
def test_nothing_is_written_above_the_folder(tempcompass_run: Path, tmp_path: Path, model: str) -> None:
    path = tempcompass_run / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_name": model}))
    out = tmp_path / "exported" / "here"
    assert {written.parent.parent for written in export_run(tempcompass_run, "lmms-eval", out)} == {out}
    assert [entry.name for entry in out.parent.iterdir()] == ["here"] and all(entry.is_dir() for entry in out.iterdir())


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("lmms-lab/llava-onevision-qwen2-0.5b", "lmms-lab__llava-onevision-qwen2-0.5b"),
        ("/data/runs/dpo/model/", "dpo__model"),
        ("tiny", "tiny"),
        ("a:b*c", "a__b__c"),
        # folders of their own, which no folder name leaves
        ("..", "__"),
        (".", "__"),
        ("/", "__"),
        ("models/..", "models__.."),
    ],
)
def test_folder_names_are_those_of_lmms_eval(model: str, folder: str) -> None:
    assert sanitised_model(model) == folder
