import json
from pathlib import Path
from typing import Any

import pytest

from vtalign.errors import InputError
from vtalign_eval.tempcompass.questions import families, load_questions, missing_files


def test_both_layouts_hold_the_same_questions(tempcompass: Path, tempcompass_hub: Path) -> None:
    ours, theirs = load_questions(tempcompass), load_questions(tempcompass_hub)
    assert len(ours) == 8
    assert [item.sub_aspect for item in theirs] == [None] * 8
    for item, other in zip(ours, theirs, strict=True):
        assert (item.question_id, item.options, item.answer, item.group) == (
            other.question_id,
            other.options,
            other.answer,
            other.group,
        )
        assert (item.scored_question, item.scored_answer) == (other.scored_question, other.scored_answer)


def test_sub_aspects_and_the_order_without_an_entry(tempcompass: Path) -> None:
    kinds = {item.question_id: item.sub_aspect for item in load_questions(tempcompass)}
    assert kinds["multi-choice:1:direction:0"] == "object motion"
    assert kinds["yes_no:1_reverse:direction:0"] == "camera motion"
    assert kinds["multi-choice:2:order:0"] == "order"


def test_a_caption_is_scored_on_the_multi_choice_question(tempcompass: Path) -> None:
    caption = load_questions(tempcompass)[-1]
    assert (caption.task, caption.answer, caption.scored_answer) == ("captioning", "B. left", "A. left")
    assert caption.scored_question.startswith("Which way does it go?")


def test_conflict_groups_are_siblings_with_different_answers(tempcompass: Path) -> None:
    grouped = {item.question_id for item in load_questions(tempcompass) if item.group}
    assert grouped == {
        "multi-choice:1:direction:0",
        "multi-choice:1_reverse:direction:0",
        "yes_no:1:direction:0",
        "yes_no:1_reverse:direction:0",
    }


def test_families_are_linked_by_shared_clips() -> None:
    found = families(["1", "1_reverse", "1_concat_2", "1_2_0", "2_3_1", "3", "4"])
    assert set(found.values()) == {"1", "4"} and found["3"] == "1" and found["4"] == "4"


def test_what_is_missing_is_said(tempcompass: Path) -> None:
    (tempcompass / "questions" / "yes_no.json").unlink()
    (tempcompass / "meta_info.json").unlink()
    said = missing_files(tempcompass)
    assert [line.partition(" ")[0].rstrip(":") for line in said] == ["questions/yes_no.json", "meta_info.json", "videos/"]
    assert {item.task for item in load_questions(tempcompass)} == {"multi-choice", "caption_matching", "captioning"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "yes_no.json: not valid JSON"),
        ("[]", "yes_no.json: file: Input should be a valid dictionary"),
        ({"1": {"colour": []}}, "yes_no.json: 1.colour"),
        ({"1": {"order": [{"question": "q"}]}}, "yes_no.json: 1.order.0.answer: Field required"),
        ({"1": {"order": [{"question": "q", "answer": "maybe"}]}}, "yes_no.json: answer 'maybe' is none of the options"),
        ({"../1": {"order": [{"question": "q", "answer": "yes"}]}}, "yes_no.json: video id '../1'"),
    ],
)
def test_files_of_another_kind_are_one_line(tempcompass: Path, content: Any, message: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tempcompass / "questions" / "yes_no.json").write_text(text)
    with pytest.raises(InputError) as error:
        load_questions(tempcompass)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_folder_of_something_else_says_how_to_lay_it_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"questions/\{multi-choice,yes_no"):
        load_questions(tmp_path)
