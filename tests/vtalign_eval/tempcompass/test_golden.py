"""Published files of two models, where they are: figures to the decimal, and every rating item by item."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vtalign_eval.judging import Judged, Verdict
from vtalign_eval.tempcompass.figures import accuracies, task_figures
from vtalign_eval.tempcompass.grading import Graded, grade_replies
from vtalign_eval.tempcompass.judge_prompts import judge_question, read_choice, read_verdict
from vtalign_eval.tempcompass.predictions import read_predictions
from vtalign_eval.tempcompass.questions import ASPECTS, CAPTIONING, MATCHED_TASKS, SUB_ASPECTS, TempCompassItem, load_questions
from vtalign_eval.tempcompass.rules import clean

# aspects, average, match rate; sub-aspects: by the published rules alone
RULE = {
    ("video-llava", "multi-choice"): (
        [76.0, 35.2, 35.6, 37.7, 41.0, 45.6, 100.0],
        [58.8, 90.3, 36.2, 32.6, 47.6, 28.0, 37.7, 43.6, 39.4, 41.7, 38.9],
    ),
    ("video-llava", "yes_no"): (
        [74.3, 51.8, 50.3, 49.2, 51.1, 56.4, 100.0],
        [58.4, 87.6, 51.4, 52.7, 50.8, 50.0, 49.2, 52.2, 50.0, 53.0, 45.8],
    ),
    ("video-llava", "caption_matching"): (
        [87.9, 53.8, 58.4, 58.7, 58.3, 63.3, 99.5],
        [77.8, 97.4, 51.1, 61.1, 66.7, 54.2, 58.7, 64.1, 54.5, 60.0, 55.6],
    ),
    ("reka-flash", "multi-choice"): (
        [94.7, 33.4, 45.7, 50.0, 58.0, 56.6, 100.0],
        [91.5, 97.3, 34.2, 31.5, 57.3, 38.3, 50.0, 70.5, 56.1, 48.3, 50.0],
    ),
    ("reka-flash", "yes_no"): (
        [83.4, 52.4, 54.7, 53.9, 62.5, 62.5, 98.9],
        [77.7, 88.2, 51.4, 54.7, 54.0, 55.2, 53.9, 66.2, 62.8, 59.0, 54.2],
    ),
}
# with the judge of the published run
STORED = {
    "caption_matching": (
        [87.9, 53.8, 58.4, 59.0, 58.3, 63.3],
        [77.8, 97.4, 51.1, 61.1, 66.7, 54.2, 59.0, 64.1, 54.5, 60.0, 55.6],
    ),
    "captioning": (
        [50.8, 28.7, 23.2, 38.2, 33.6, 34.8],
        [33.3, 67.2, 29.7, 25.8, 18.2, 25.8, 38.2, 31.7, 36.9, 26.2, 41.7],
    ),
}
COUNTS = {
    "multi-choice": [153, 185, 243, 92, 124, 193, 302, 78, 132, 60, 18],
    "yes_no": [269, 323, 346, 148, 189, 348, 382, 136, 188, 100, 24],
    "caption_matching": [144, 153, 237, 90, 99, 192, 300, 78, 132, 60, 18],
    "captioning": [192, 204, 316, 120, 132, 256, 400, 104, 176, 80, 24],
}

Nested = dict[str, dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "tempcompass"


@pytest.fixture(scope="module")
def items(folder: Path) -> tuple[TempCompassItem, ...]:
    return load_questions(folder)


def graded(
    folder: Path, items: tuple[TempCompassItem, ...], model: str, task: str, judged: Judged | None = None
) -> tuple[Graded, ...]:
    asked = [item for item in items if item.task == task]
    read = read_predictions(folder / "predictions" / model / f"{task}.json", asked)
    assert (read.missing, read.unknown, read.reworded) == (0, 0, 0)
    return grade_replies(asked, read.replies, judged)


@cache
def stored(folder: Path, task: str) -> Nested:
    return json.loads((folder / "auto_eval_results" / "video-llava" / f"{task}.json").read_text())


def stored_row(folder: Path, item: TempCompassItem) -> dict[str, Any]:
    return stored(folder, item.task)[item.video_id][item.aspect][item.index]


def published_choice(said: str, answer: str) -> bool:
    """`eval_captioning.py` asks for a whole option and looks for the letters in it; our own prompt asks for the letter alone."""
    return set(re.findall(r"\b([A-D])\.", said)) == {answer[0]} and said[:1] == answer[0]


def all_rows(nested: Nested) -> list[dict[str, Any]]:
    return [row for aspects in nested.values() for asked in aspects.values() for row in asked]


def rows(figures: dict[str, Any]) -> tuple[list[float], list[float]]:
    aspects = [figures["aspects"][aspect]["accuracy"] for aspect in ASPECTS]
    return [*aspects, figures["avg"]["accuracy"]], [figures["sub_aspects"][kind]["accuracy"] for kind in SUB_ASPECTS]


def test_the_benchmark_has_the_published_counts(items: tuple[TempCompassItem, ...]) -> None:
    for task, counts in COUNTS.items():
        assert [sum(item.task == task and item.sub_aspect == kind for item in items) for kind in SUB_ASPECTS] == counts
    groups = [len({item.group for item in items if item.task == task and item.group}) for task in MATCHED_TASKS]
    assert groups == [298, 351, 174]
    assert (len({item.video_id for item in items}), len({item.family for item in items})) == (410, 188)


@pytest.mark.parametrize(("model", "task"), RULE)
def test_figures_by_rule(folder: Path, items: tuple[TempCompassItem, ...], model: str, task: str) -> None:
    figures = task_figures(graded(folder, items, model, task))
    aspects, kinds = rows(figures["rule"])
    assert ([*aspects, figures["match_rate"]], kinds) == RULE[model, task]


@pytest.mark.parametrize("task", MATCHED_TASKS)
def test_every_stored_rating_by_rule(folder: Path, items: tuple[TempCompassItem, ...], task: str) -> None:
    """The stored run asked a judge where no rule matched: there only `match_success` is the rules' work."""
    published = stored(folder, task)
    for g in graded(folder, items, "video-llava", task):
        row = published[g.item.video_id][g.item.aspect][g.item.index]
        assert (row["question"], row["gt-answer"], row["video-llm-prediction"]) == (
            g.item.question,
            g.item.answer,
            clean(g.reply or ""),
        )
        assert row["match_success"] is g.matched
        assert not g.matched or row["rating"] == g.correct_by_rule


@pytest.mark.parametrize("task", STORED)
def test_figures_with_the_stored_verdicts(folder: Path, items: tuple[TempCompassItem, ...], task: str) -> None:
    """What the published judge was asked is what ours would be, and its words, read by us, give the published figures."""
    verdicts = {}
    for g in graded(folder, items, "video-llava", task):
        row = stored_row(folder, g.item)
        question = judge_question(g.item, g.reply)
        said = row.get("chatgpt-answer") if task == CAPTIONING else row.get("chatgpt-response")
        assert (question is None) == (said is None)
        if question is not None and said is not None:
            # the stored captions of some items were graded against older options
            read = published_choice(said, row["gt-answer"]) if task == CAPTIONING else question.read(said)
            assert (read is True) == (row["rating"] == 1), said
            verdicts[g.item.question_id] = Verdict(read, said)
    judged = Judged("gpt-3.5-turbo-1106", "stored", verdicts)
    assert rows(accuracies(graded(folder, items, "video-llava", task, judged), lambda g: g.correct)) == STORED[task]


def test_the_words_of_the_stored_judge(folder: Path, items: tuple[TempCompassItem, ...]) -> None:
    """Its seven verdicts on captions that no rule matches, and its answers about captions: ours accepts none that it rated wrong."""
    matching = [row for row in all_rows(stored(folder, "caption_matching")) if not row["match_success"]]
    assert [read_verdict(row["chatgpt-response"]) for row in matching] == [row["rating"] == 1 for row in matching]
    assert sum(row["rating"] for row in matching) == 1 and len(matching) == 7
    rated = [(item, stored_row(folder, item)) for item in items if item.task == CAPTIONING]
    read = [read_choice(row["chatgpt-answer"], item.scored_question, row["gt-answer"]) for item, row in rated]
    accepted = [row["rating"] == 1 for (_, row), right in zip(rated, read, strict=True) if right]
    # eleven right ones name options that the questions have no more, or with other words
    assert all(accepted) and sum(row["rating"] for _, row in rated) - len(accepted) == 11
    assert len(read) == 2004 and read.count(None) == 140


def test_captions_without_a_judge_have_no_figure(folder: Path, items: tuple[TempCompassItem, ...]) -> None:
    figures = task_figures(graded(folder, items, "video-llava", CAPTIONING))
    assert figures["needs_judge"] is True and not {"rule", "lenient", "judged"} & figures.keys()
