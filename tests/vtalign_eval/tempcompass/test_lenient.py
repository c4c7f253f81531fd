import pytest

from vtalign_eval.items import Item
from vtalign_eval.tempcompass.lenient import read_leniently

CHOICES = ("A. a man walking", "B. clockwise", "C. counter-clockwise", "D. moving left")
CAPTIONS = ("Caption A: A man runs.", "Caption B: A man sits.")
NUMBERED = ("Option 1: A man runs.", "Option 2: A man sits.")


def read(reply: str, task: str, options: tuple[str, ...]) -> str | None:
    return read_leniently(reply, Item("q", "v.mp4", "1", "direction", "Which?", options, options[0], task=task))


# the replies that parsers in use today misread, and chatty ones that the published rules do not match
@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("Answer: B", "B"),
        ("counter-clockwise", "C"),
        ("", None),
        ("I cannot tell", None),
        ("The answer is: B. A man", "B"),
        ("A man is walking, so the answer is B.", "B"),
        ("Based on the video, C", "C"),
        ("I think B", "B"),
        ("A person turns left, so B", "B"),
        ("A person moves; so B", "B"),
        ("A person moves", None),
        ("(B)", "B"),
        ("**B.**", "B"),
        ("B:", "B"),
        ("b", None),
        ("It turns clockwise.", "B"),
        ("It turns counter-clockwise, that is C", "C"),
        ("B. counter-clockwise", "B"),  # contradicts itself: as the published rule reads it
        ("It is B, counter-clockwise", None),
        ("A or B", None),
        ("not B", None),
        ("B is incorrect", None),
        ("I'd exclude B", None),
        ("Is it B?", None),
        ("Does it turn? It is B", "B"),
        ("The man is moving left", "D"),
        ("D. moving left</s>", "D"),
        ("A. a man walking", "A"),
    ],
)
def test_multi_choice(reply: str, letter: str | None) -> None:
    found = read(reply, "multi-choice", CHOICES)
    assert (found and found[0]) == letter


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        ("yes", "yes"),
        ("The answer is yes", "yes"),
        ("(no)", "no"),
        ("No, it does not. There is one.", "no"),
        ("No. It stands.\n\nIs it day?\nYes.", "no"),
        ("None", None),
        ("Not sure", None),
        ("Normal", None),
        ("yesterday", None),
        ("yes and no", None),
        ("Yes, but I cannot say no", None),
        ("no-one moves", None),
        ("No idea.", None),
        ("There is no answer", None),
        ("Yes? No.", None),
        ("", None),
    ],
)
def test_yes_no_are_words_and_not_prefixes(reply: str, word: str | None) -> None:
    assert read(reply, "yes_no", ("yes", "no")) == word


@pytest.mark.parametrize(
    ("reply", "options", "chosen"),
    [
        ("Caption A is right", CAPTIONS, 0),
        ("caption b", CAPTIONS, 1),
        ("Sentence B", CAPTIONS, 1),
        ("(A)", CAPTIONS, 0),
        ("a man runs", CAPTIONS, 0),
        ("The best match is: A man sits.", CAPTIONS, 1),
        ("A man stands", CAPTIONS, None),
        ("Caption A: A man sits.", CAPTIONS, None),
        ("Caption A or Caption B", CAPTIONS, None),
        ("Caption C", CAPTIONS, None),
        ("Caption B is incorrect", CAPTIONS, None),
        ("I doubt that a man sits", CAPTIONS, None),
        ("(2)", NUMBERED, 1),
        ("**1**", NUMBERED, 0),
        ("I choose option 2", NUMBERED, 1),
        ("There is 1 man", NUMBERED, None),
        ("12", NUMBERED, None),
        ("", NUMBERED, None),
    ],
)
def test_caption_matching(reply: str, options: tuple[str, ...], chosen: int | None) -> None:
    assert read(reply, "caption_matching", options) == (None if chosen is None else options[chosen])
