"""Cards: how a reply was read is said where it does not go without saying."""

from collections.abc import Callable
from typing import Any

import pytest

from vtalign_eval.outcomes import Outcome
from vtalign_eval.report.cards import card_of, reading
from vtalign_eval.report.pictures import Pictures

Make = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reply": "left", "choice": "left"}, ""),
        ({"reply": "Left.", "choice": "left"}, ""),
        ({"reply": "A", "choice": "A. left"}, "read as A. left"),
        ({"reply": "I think left", "choice": None, "lenient_choice": "left"}, "could not be read; leniently left"),
        ({"reply": "no idea", "choice": None, "lenient_choice": None}, "could not be read"),
        ({"reply": None, "choice": None, "lenient_choice": None}, ""),
        ({"reply": None, "choice": None, "lenient_choice": None, "failure": "corrupt"}, "corrupt"),
    ],
)
def test_how_a_reply_was_read(make_outcome: Make, changes: dict[str, Any], said: str) -> None:
    assert reading(make_outcome("f0:1", right=False, **changes)) == said


def test_a_card_has_both_models_for_each_sibling(make_outcome: Make) -> None:
    members = [
        {"A": make_outcome("f0:1", right=True), "B": make_outcome("f0:1", right=False)},
        {"A": make_outcome("f0:2", right=False), "B": make_outcome("f0:2", right=True, task="yes_no")},
    ]
    card = card_of("solved by neither", members, Pictures(why_not={"videos/f0:2.mp4": "missing"}))
    assert card["title"] == "order: solved by neither" and list(card["options"]) == ["left", "right"]
    first, second = card["siblings"]
    assert [(said["who"], said["correct"]) for said in first["replies"]] == [("A", True), ("B", False)]
    assert (first["no_strips"], second["no_strips"]) == ("", "no frames: missing")


def test_options_that_the_question_spells_out_are_not_repeated(make_outcome: Make) -> None:
    member = {"the model": make_outcome("f0:1", right=True, question="Left or RIGHT ?", task="multi-choice")}
    card = card_of("k", [member], Pictures())
    assert card["options"] == [] and card["title"] == "order, multi-choice: k"


def test_a_large_family_is_cut_and_says_so(make_outcome: Make) -> None:
    members = [{"the model": make_outcome(f"f0:{k}", right=True)} for k in range(7)]
    card = card_of("k", members, Pictures())
    assert len(card["siblings"]) == 4 and card["note"] == "3 more siblings of this group are not shown."
