"""Hand-written replies to every published rule; `None` in the last column means that no rule matches."""

import pytest

from vtalign_eval.items import Item
from vtalign_eval.tempcompass.lenient import read_leniently
from vtalign_eval.tempcompass.rules import Match, match

CHOICES = ("A. moving left", "B. moving right", "C. moving left to right")
CAPTIONS = ("Caption A: A man runs.", "Caption B: A man sits.")
NUMBERED = ("Option 1: A man runs.", "Option 2: A man sits.")
LETTERED = ("Sentence A: A man runs.", "Sentence B: A man sits.")


def asked(task: str, options: tuple[str, ...], answer: str) -> Item:
    return Item("q", "videos/1.mp4", "1", "direction", "\n".join(["Which?", *options]), options, answer, task=task)


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B. moving right", "B"),
        ("B", "B"),
        (" B \n", "B"),
        ("B</s>", "B"),
        ("</s> B. </s>", "B"),
        ("B.", "B"),
        ("B. because it does", "B"),
        ("B)", "B"),
        ("B) moving right", "B"),
        ("A. moving right", "A"),
        ("C", "C"),
        ("D", "D"),  # no such option: matched, and wrong
        ("D. nothing", "D"),
        ("(B)", None),
        ("B:", None),
        ("b", None),
        ("b.", None),
        ("**B.**", None),
        ("Answer: B", None),
        ("moving right", None),
        ("B moving right", None),
        ("E", None),
        ("E. other", None),
        ("", None),
        ("</s>", None),
        ("A moving right", None),
        ("I cannot tell", None),
    ],
)
def test_multi_choice(reply: str, letter: str | None) -> None:
    found = match(reply, asked("multi-choice", CHOICES, "B. moving right"))
    if letter is None:
        assert found is None
    else:
        assert found is not None and found.choice[0] == letter and found.correct is (letter == "B")


def test_multi_choice_accepts_the_whole_answer_line_without_a_letter() -> None:
    assert match("yes", asked("multi-choice", ("yes", "no"), "yes")) == Match("yes", True)


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("YES, it does", "yes"),
        (" yes</s>", "yes"),
        ("yesterday", "yes"),
        ("no", "no"),
        ("No, it does not", "no"),
        ("None", "no"),
        ("Not sure", "no"),
        ("Normal", "no"),
        ("Yes and no", "yes"),
        ("The answer is yes", None),
        ("(no)", None),
        ("'yes'", None),
        ("", None),
        ("I do not know", None),
    ],
)
def test_yes_no_is_a_prefix_test(reply: str, word: str | None) -> None:
    found = match(reply, asked("yes_no", ("yes", "no"), "no"))
    assert found == (None if word is None else Match(word, word == "no"))


@pytest.mark.parametrize(
    ("reply", "options", "chosen"),
    [
        ("Caption A: A man runs.", CAPTIONS, 0),
        ("Caption B: A man sits.", CAPTIONS, 1),
        ("A man runs.", CAPTIONS, 0),
        ("(A) A man runs.", CAPTIONS, 0),
        ("(B) A man runs.", CAPTIONS, 0),  # only what is behind the bracket counts
        ("Caption A", CAPTIONS, 0),
        ("Caption A.", CAPTIONS, 0),
        ("Caption B</s>", CAPTIONS, 1),
        ("A", CAPTIONS, 0),
        ("A.", CAPTIONS, 0),
        (".B.", CAPTIONS, 1),
        ("1", NUMBERED, 0),
        ("2.", NUMBERED, 1),
        ("Option 2", NUMBERED, 1),
        ("Sentence B.", LETTERED, 1),
        ("A man runs", CAPTIONS, None),  # the caption's own full stop is missing
        ("Option B", LETTERED, None),
        ("Caption A is right", CAPTIONS, None),
        ("Caption A: A man", CAPTIONS, None),
        ("caption a", CAPTIONS, None),
        ("(A)", CAPTIONS, None),
        ("A)", CAPTIONS, None),
        ("1", CAPTIONS, None),
        ("", CAPTIONS, None),
    ],
)
def test_caption_matching(reply: str, options: tuple[str, ...], chosen: int | None) -> None:
    found = match(reply, asked("caption_matching", options, options[0]))
    assert found == (None if chosen is None else Match(options[chosen], chosen == 0))


def test_of_two_rules_that_match_the_last_one_wins() -> None:
    options = ("Caption A: B", "Caption B: A")
    # "A" is the caption of the second line and the mark of the first
    assert match("A", asked("caption_matching", options, options[0])) == Match(options[0], True)
    assert match("B", asked("caption_matching", options, options[0])) == Match(options[1], True), (
        "as published: it is also the caption"
    )


@pytest.mark.parametrize(
    ("task", "options"), [("multi-choice", CHOICES), ("yes_no", ("yes", "no")), ("caption_matching", CAPTIONS)]
)
def test_a_null_prediction_is_unmatched_in_both_readings(task: str, options: tuple[str, ...]) -> None:
    item = asked(task, options, options[0])
    assert match(None, item) is None and read_leniently(None, item) is None
