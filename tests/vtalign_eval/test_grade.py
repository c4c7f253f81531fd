import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign_eval.grade import exact_choice, grade_options, lenient_choice, normalise
from vtalign_eval.items import Item

DIRECTIONS = ("left", "right")
LETTERS = ("A", "B", "C", "D")
WORDS = st.text(alphabet=string.ascii_lowercase, min_size=2, max_size=6)


def item(options: tuple[str, ...], answer: str) -> Item:
    return Item("q", "v.mp4", "f", "order", "which ?", options, answer)


@pytest.mark.parametrize("reply", ["left", "Left", " left.\n", '"left"', "LEFT!", "left .", "**left**", "‘left’"])
def test_exact_reading_ignores_case_edges_and_quotes(reply: str) -> None:
    assert exact_choice(reply, DIRECTIONS) == "left"


@pytest.mark.parametrize("reply", ["", "   ", "...", "leftwards", "to the left", "left right", "up", "lef"])
def test_anything_but_one_whole_option_is_no_exact_choice(reply: str) -> None:
    assert exact_choice(reply, DIRECTIONS) is None


@pytest.mark.parametrize(
    ("reply", "options", "choice"),
    [
        ("it moves to the left", DIRECTIONS, "left"),
        ("the answer is: right.", DIRECTIONS, "right"),
        ("left, and left again", DIRECTIONS, "left"),
        ("first left and then right", DIRECTIONS, None),
        ("it does not move left", DIRECTIONS, None),
        ("it isn't left", DIRECTIONS, None),
        ("it isn’t left", DIRECTIONS, None),
        ("leftover rights", DIRECTIONS, None),
        ("", DIRECTIONS, None),
        ("I cannot tell", DIRECTIONS, None),
        ("counter-clockwise", ("clockwise", "counter-clockwise"), "counter-clockwise"),
        ("it turns counter‑clockwise", ("clockwise", "still"), None),
        ("from left to right", ("left", "left to right"), "left to right"),
        ("left to right, I mean left", ("left", "left to right"), None),
        ("a red circle moves left slowly", ("red circle moves left", "moves left slowly"), None),
        ("the ring stays not visible", ("not visible", "visible"), "not visible"),
        ("It comes first: the RED circle", ("the red circle", "the blue square"), "the red circle"),
    ],
)
def test_lenient_reading_takes_the_only_option_mentioned(reply: str, options: tuple[str, ...], choice: str | None) -> None:
    assert lenient_choice(reply, options) == choice


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("yes", "yes"),
        ("Yes, it does.", "yes"),
        ("No, it does not.", "no"),
        ("No. There isn't one", "no"),
        ("yes and no", None),
        ("Not sure", None),
        ("None", None),
        ("Normal", None),
        ("I do not know", None),
        ("yesterday", None),
        ("Yes, but I cannot say no", None),
        ("Yes, the man does, but I do not know why", "yes"),
        ("No, he stands still.", "no"),
        ("No \n\nBoth stand still; neither moves.", "no"),
        ("Yes it is", "yes"),
        ("Answer: no", "no"),
        ("I think yes.", "yes"),
        ("No idea.", None),
        ("No way to tell", None),
        ("no clear answer", None),
        ("There is no answer", None),
        ("It is impossible to say yes", None),
        ("No, I cannot tell.", None),
        ("Yes? No.", None),
        ("Yes. No.", None),
        ("Yes/No", None),
    ],
)
def test_yes_and_no_are_words_not_prefixes(reply: str, choice: str | None) -> None:
    assert lenient_choice(reply, ("yes", "no")) == choice


DENIED = (
    "B is incorrect",
    "B is wrong",
    "B is false.",
    "anything except B",
    "anything but B",
    "unlike B",
    "I'd exclude B",
    "I doubt B",
    "It is unlikely to be B",
    "I rule out B",
    "something other than B",
    "Is it B?",
)


# replies that parsers in use today misread (facts/evaluation.md, 2.4)
@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("Answer: B", "B"),
        ("counter-clockwise", None),
        ("", None),
        ("I cannot tell", None),
        ("The answer is: B. A man", "B"),
        ("A man is walking, so the answer is B.", "B"),
        ("Based on the video, C", "C"),
        ("I think B", "B"),
        ("A person turns left, so B", "B"),
        ("A person moves; so B", "B"),
        ("A person moves", None),
        ("A", "A"),
        ("(A)", "A"),
        ("A.", "A"),
        ("A is right", "A"),
        ("A or B", None),
        ("both A and B", None),
        ("not B", None),
        *((reply, None) for reply in DENIED),
        ("Bravo", None),
        ("Plan-B", None),
    ],
)
def test_letters_are_read_as_choices_and_articles_are_not(reply: str, choice: str | None) -> None:
    assert lenient_choice(reply, LETTERS) == choice


def test_no_reply_is_wrong_and_unparsable() -> None:
    grade = grade_options(None, item(DIRECTIONS, "left"))
    assert (grade.choice, grade.correct, grade.lenient_choice, grade.lenient_correct) == (None, False, None, False)


def test_a_chatty_right_answer_is_right_only_leniently() -> None:
    grade = grade_options("It is the left one", item(DIRECTIONS, "left"))
    assert (grade.choice, grade.correct) == (None, False)
    assert (grade.lenient_choice, grade.lenient_correct) == ("left", True)


@given(st.lists(WORDS, min_size=2, max_size=4, unique=True), st.data())
def test_every_option_is_read_as_itself_in_both_readings(options: list[str], data: st.DataObject) -> None:
    said = data.draw(st.sampled_from(options))
    assert exact_choice(said, options) == said
    grade = grade_options(f" {said.upper()}. ", item(tuple(options), said))
    assert grade.correct and grade.lenient_correct


@given(st.text(max_size=40), st.lists(WORDS, min_size=2, max_size=4, unique=True))
def test_no_text_breaks_the_reading_and_an_exact_choice_is_a_lenient_one(reply: str, options: list[str]) -> None:
    grade = grade_options(reply, item(tuple(options), options[0]))
    assert grade.choice in (None, grade.lenient_choice)
    if normalise(reply) == "":
        assert grade.lenient_choice is None
