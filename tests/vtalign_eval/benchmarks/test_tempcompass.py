import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from vtalign.errors import InputError
from vtalign_eval.benchmarks.tempcompass import TEMPCOMPASS, export
from vtalign_eval.check import CheckConfig, check_eval
from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval

QUESTION = "Which way?\nA. left\nB. right"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One multi-choice question and one caption, without meta_info.json or videos."""
    folder = tmp_path / "data"
    (folder / "questions").mkdir(parents=True)
    for task, answer in (("multi-choice", "A. left"), ("captioning", "B. left")):
        nested = {"1": {"direction": [{"question": QUESTION, "answer": answer}]}}
        (folder / "questions" / f"{task}.json").write_text(json.dumps(nested))
    return folder


def test_prompts_are_the_published_ones(data: Path) -> None:
    choice, caption = TEMPCOMPASS.load(data)
    assert TEMPCOMPASS.prompt(choice.question, choice.task) == QUESTION + "\nPlease directly give the best option:"
    assert TEMPCOMPASS.prompt(caption.question, caption.task) == QUESTION
    assert TEMPCOMPASS.prompt("Left?", "yes_no") == "Left?\nPlease answer yes or no:"


def test_check_says_what_is_missing_and_how_to_lay_it_out(data: Path) -> None:
    said = check_eval(CheckConfig(benchmark="tempcompass", data=data)).splitlines()
    assert said[0].startswith("tempcompass: 2 questions about 1 videos, which measure temporal,")
    assert said[1] == "only a judge can grade 1 of them (captioning)"
    assert [line.split()[1] for line in said if line.startswith("missing: ")] == [
        "questions/yes_no.json",
        "questions/caption_matching.json",
        "meta_info.json:",
        "videos/:",
        "1",  # of 1 videos
    ]
    assert said[-2].startswith("layout: a TempCompass folder holds")
    assert said[-1].startswith("hash of the question files: data-")


def test_check_of_no_folder_says_how_to_lay_it_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such data folder; a TempCompass folder holds"):
        check_eval(CheckConfig(benchmark="tempcompass", data=tmp_path / "nowhere"))


def test_a_run_leaves_its_predictions_in_the_published_layout(data: Path, tmp_path: Path) -> None:
    export(tmp_path / "run", TEMPCOMPASS.load(data), ["A", None])
    kept = {
        task: json.loads((tmp_path / "run" / "predictions" / f"{task}.json").read_text())
        for task in ("multi-choice", "captioning")
    }
    assert kept["multi-choice"]["1"]["direction"] == [{"question": QUESTION, "answer": "A. left", "prediction": "A"}]
    assert kept["captioning"]["1"]["direction"][0]["prediction"] is None
    assert json.loads((tmp_path / "run" / "tempcompass.json").read_text())["multi-choice"]["rule"]["avg"]["accuracy"] == 100.0


def test_a_model_is_asked_all_tasks_and_captions_are_kept(
    data: Path, shapes: Path, make_config: Callable[..., EvalConfig], quiet: Console
) -> None:
    (data / "videos").mkdir()
    shutil.copy(shapes / "videos" / "f0-a.mp4", data / "videos" / "1.mp4")
    config = make_config(benchmark="tempcompass", data=data)
    results = run_eval(config, quiet)
    assert results["vtalign"]["counts"]["questions"] == 1, "the caption is in no metric"
    caption = json.loads((config.out / "predictions" / "captioning.json").read_text())["1"]["direction"][0]["prediction"]
    replies = [json.loads(line)["reply"] for line in (config.out / "predictions.jsonl").read_text().splitlines()]
    assert caption in replies and len(replies) == 2
