import json
from pathlib import Path
from typing import Any

import pytest

from vtalign.errors import InputError
from vtalign_eval.tempcompass.predictions import Predictions, read_predictions
from vtalign_eval.tempcompass.questions import load_questions
from vtalign_eval.tempcompass.stored import stored_files


def read(data: Path, content: Any, task: str = "yes_no") -> Predictions:
    """yes_no asks `Left?` (yes) and `Right?` (no) of video 1, and `Left?` (no) of its reverse."""
    path = data / f"given-{task}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_predictions(path, [item for item in load_questions(data) if item.task == task])


LEFT, RIGHT = {"question": "Left?", "answer": "yes", "prediction": "l"}, {"question": "Right?", "answer": "no", "prediction": "r"}
REVERSED = {"question": "Left?", "answer": "no", "prediction": "x"}
ALL = {"yes_no:1:direction:0": "l", "yes_no:1:direction:1": "r", "yes_no:1_reverse:direction:0": "x"}


@pytest.mark.parametrize(
    "content",
    [
        {"1": {"direction": [LEFT, RIGHT]}, "1_reverse": {"direction": [REVERSED]}},
        {"1_reverse": {"direction": [REVERSED]}, "1": {"direction": [RIGHT, LEFT]}},
        {
            "1": {"direction": [LEFT | {"question": "Left?\nPlease answer yes or no:"}, RIGHT]},
            "1_reverse": {"direction": [{"question": "Left?", "answer": "no", "response": "x"}]},
        },
    ],
    ids=["as-asked", "other-order", "whole-prompt-and-response"],
)
def test_the_same_questions_in_any_order(tempcompass: Path, content: Any) -> None:
    assert read(tempcompass, content) == Predictions(ALL)


def test_a_null_is_a_prediction_and_an_absent_one_is_missing(tempcompass: Path) -> None:
    bare = {"question": "Right?", "answer": "no"}
    found = read(tempcompass, {"1": {"direction": [LEFT | {"prediction": None}, bare]}, "1_reverse": {"direction": [REVERSED]}})
    assert found == Predictions({"yes_no:1:direction:0": None, "yes_no:1_reverse:direction:0": "x"}, missing=1)


@pytest.mark.parametrize("content", ["", " \n", {}, {"1": {}}, {"1": {"direction": []}}])
def test_an_empty_file_is_a_run_that_was_stopped(tempcompass: Path, content: Any) -> None:
    assert read(tempcompass, content) == Predictions({}, missing=3)


def test_wrong_ids_and_extra_items_count_as_nothing(tempcompass: Path) -> None:
    extra = {"question": "Up?", "answer": "yes", "prediction": "yes"}
    found = read(tempcompass, {"1": {"direction": [extra, LEFT, RIGHT, LEFT]}, "9": {"direction": [REVERSED]}})
    assert found == Predictions({"yes_no:1:direction:0": "l", "yes_no:1:direction:1": "r"}, missing=1, unknown=3)


def test_a_reworded_question_is_taken_by_its_place_only_beside_the_right_answer(tempcompass: Path) -> None:
    reworded = RIGHT | {"question": "To the right?"}
    assert read(tempcompass, {"1": {"direction": [LEFT, reworded]}}).reworded == 1
    assert read(tempcompass, {"1": {"direction": [LEFT, reworded | {"answer": "yes"}]}}).missing == 2
    assert read(tempcompass, {"1": {"direction": [LEFT, reworded, RIGHT]}}) == read(
        tempcompass, {"1": {"direction": [LEFT, RIGHT, reworded]}}
    )


def test_the_answer_of_the_benchmark_counts(tempcompass: Path) -> None:
    found = read(tempcompass, {"1": {"direction": [LEFT | {"answer": "no"}, RIGHT]}, "1_reverse": {"direction": [REVERSED]}})
    assert found == Predictions(ALL, other_answer=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ([], "file: Input should be a valid dictionary"),
        ({"1": {"direction": [{"question": "Left?", "prediction": 3}]}}, "1.direction.0.prediction"),
        ({"1": {"direction": [{"question": "Which way?", "prediction": "A"}]}}, "none of its 1 questions is one of yes_no"),
    ],
)
def test_a_file_of_another_kind_is_refused(tempcompass: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tempcompass, content)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_folders_without_predictions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        stored_files(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds none of multi-choice\.json"):
        stored_files(tmp_path)
