import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.preference.words import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A red square moves left, then stops.", ["A", "red", "square", "moves", "left", ",", "then", "stops", "."]),
        ("Don't; it\u2019s the dogs'", ["Don't", ";", "it\u2019s", "the", "dogs", "'"]),
        ("left-hand", ["left", "-", "hand"]),
        ("9.5 or 1,000 at 10:30.", ["9.5", "or", "1,000", "at", "10:30", "."]),
        ("-3, (+4) but 2-3 and 5%", ["-3", ",", "(", "+4", ")", "but", "2", "-", "3", "and", "5", "%"]),
        ("\u732b\u304c\u8d70\u308b\u3002", ["\u732b", "\u304c", "\u8d70", "\u308b", "\u3002"]),  # Japanese, without spaces
        ("2\u79d2 GIF\u306e", ["2", "\u79d2", "GIF", "\u306e"]),
        ("\ube68\uac04 \uacf5", ["\ube68\uac04", "\uacf5"]),  # Korean, with spaces
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0939\u0948",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u0948"],
        ),  # vowel signs stay
        ("\u0e19\u0e49\u0e33", ["\u0e19\u0e49", "\u0e33"]),  # Thai: a character with its tone mark
        ("cafe\u0301 x", ["cafe\u0301", "x"]),
        ("\U0001f44d\U0001f3fd\U0001f436", ["\U0001f44d\U0001f3fd", "\U0001f436"]),  # a thumb of some colour, a dog
        ("\U0001f469\u200d\U0001f467!", ["\U0001f469\u200d\U0001f467", "!"]),  # a family is one picture
        ("**bold** `x`", ["*", "*", "bold", "*", "*", "`", "x", "`"]),
        (" \t\n\u200b", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert [word.text for word in split_words(text)] == words


def test_what_is_compared_is_alike_for_case_and_for_equivalent_characters() -> None:
    for one, other in (
        ("Left", "LEFT"),
        ("caf\u00e9", "CAFE\u0301"),
        ("don't", "Don\u2019t"),
        ("\uff21", "a"),
        ("stra\u00dfe", "STRASSE"),
    ):
        assert [word.key for word in split_words(one)] == [word.key for word in split_words(other)]


def test_punctuation_is_known() -> None:
    marks = [word.text for word in split_words("Is it 5%? (\u300cyes\u300d, `no`)\u2026") if word.is_punctuation]
    assert marks == ["?", "(", "\u300c", "\u300d", ",", "`", "`", ")", "\u2026"]


@given(st.text(max_size=40))
def test_words_lie_in_the_text_apart_and_leave_out_nothing_visible(text: str) -> None:
    words = split_words(text)
    last = 0
    for word in words:
        assert last <= word.start < word.stop <= len(text) and text[word.start : word.stop] == word.text
        assert not any(character.isspace() for character in text[word.start : word.stop])
        last = word.stop
    rest = list(text)
    for word in reversed(words):
        del rest[word.start : word.stop]
    assert all(character.isspace() or not character.isprintable() for character in rest)
