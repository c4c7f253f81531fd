"""Texts as words with their places: what a word diff compares. For any script, with or without spaces between words."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

# Scripts that put no spaces between words: every character (with its marks) counts as a word.
_UNSPACED = ("CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "HALFWIDTH KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
_JOINER = "\u200d"
_APOSTROPHES = "'\u2019"
_WORD, _UNIT, _PUNCTUATION, _ATTACHED, _NOTHING = "word", "unit", "punctuation", "attached", "nothing"


@dataclass(frozen=True)
class Word:
    """Characters [start, stop) of a text. `key`: what it is compared by, alike for any case and for equivalent characters."""

    start: int
    stop: int
    text: str
    is_punctuation: bool

    @property
    def key(self) -> str:
        return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", self.text).casefold()).replace("\u2019", "'")


def split_words(text: str) -> list[Word]:
    """Words, numbers (`9.5`, `10:30`, `-3`), symbols, and punctuation marks, in order; white space is none of them.

    Hyphens part words, apostrophes do not. An emoji is one word with its modifiers.
    """
    return [
        Word(start, stop, text[start:stop], _kind(text[start]) == _PUNCTUATION and stop == start + 1)
        for start, stop in _borders(text)
    ]


def _borders(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        kind = _kind(text[start])
        if kind == _NOTHING:
            start += 1
            continue
        stop = start + 1
        if _is_sign(text, start):
            kind = _WORD
        while stop < len(text) and _goes_on(text, stop, kind):
            stop += 1
        yield start, stop
        start = stop


def _goes_on(text: str, at: int, kind: str) -> bool:
    """Whether the character at `at` belongs to the word of that kind that the character before it belongs to."""
    found = _kind(text[at])
    if found == _ATTACHED or (text[at - 1] == _JOINER and found != _NOTHING):
        return True
    if kind != _WORD:
        return False
    return found == _WORD or _is_inside_word(text, at)


def _is_inside_word(text: str, at: int) -> bool:
    """An apostrophe between letters, a point, comma or colon between digits."""
    if at + 1 == len(text):
        return False
    before, after = text[at - 1], text[at + 1]
    between_letters = text[at] in _APOSTROPHES and _kind(before) == _kind(after) == _WORD
    return between_letters or (text[at] in ".,:" and before.isdecimal() and after.isdecimal())


def _is_sign(text: str, at: int) -> bool:
    """A minus or plus that belongs to the number behind it: not the hyphen of `2-3`."""
    numbered = text[at] in "-+\u2212" and at + 1 < len(text) and text[at + 1].isdecimal()
    return numbered and (at == 0 or _kind(text[at - 1]) in (_NOTHING, _PUNCTUATION))


@lru_cache(maxsize=4096)
def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if character == _JOINER or category[0] == "M" or "\U0001f3fb" <= character <= "\U0001f3ff":  # skin tones
        return _ATTACHED
    if category[0] in "ZC" or character.isspace():
        return _NOTHING
    if unicodedata.name(character, "").startswith(_UNSPACED):
        return _PUNCTUATION if category[0] == "P" else _UNIT
    if category[0] in "LN" or character == "_":
        return _WORD
    is_mark = (category[0] == "P" and character != "%") or character == "`"  # a percentage is said, a backtick is not
    return _PUNCTUATION if is_mark else _UNIT
