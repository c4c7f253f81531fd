"""Reading a reply: which of some options does it choose? What cannot be told is None, and is never guessed.

Exact: the whole reply is one option. Lenient: the reply mentions one option and no other. Known parsers call empty replies "A", read
the article in "A man .." as a choice, or find "clockwise" in "counter-clockwise".
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

_EDGES = " \t\n.,;:!?\"'`*"
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "‐": "-", "‑": "-"})
_NEGATION = re.compile(r"\b(?:not|no|never|neither|nor|none|cannot|without)\b|n't\b")
_ARTICLE = re.compile(r"\s+(?!or\b|and\b|is\b)[a-z]")


def normalise(text: str) -> str:
    """Case, width, runs of white space, and punctuation or quotes at the ends do not matter."""
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES).casefold()
    return " ".join(plain.split()).strip(_EDGES)


def exact_choice(reply: str, options: Sequence[str]) -> str | None:
    """The option that the whole reply is."""
    plain = normalise(reply)
    found = [option for option in options if normalise(option) == plain]
    return found[0] if len(found) == 1 else None


def lenient_choice(reply: str, options: Sequence[str]) -> str | None:
    """The only option that the reply mentions, as whole words, outside of a denial ("not left" chooses nothing)."""
    return mentioned_option(reply, {option: (option,) for option in options})


def mentioned_option(reply: str, spellings: Mapping[str, Sequence[str]]) -> str | None:
    """As `lenient_choice`, where an option can be mentioned in several ways (its letter or its words, say)."""
    text = " ".join(unicodedata.normalize("NFKC", reply).translate(_QUOTES).split())
    spans = {option: [m for way in ways for m in _mentions(way, text)] for option, ways in spellings.items()}
    everything = [(span, option) for option, found in spans.items() for span in found]
    # "left" inside of a mention of "left to right" is no mention of its own
    free = [(span, option) for span, option in everything if not any(_inside(span, other) for other, _ in everything)]
    chosen = {option for _, option in free}
    if len(chosen) != 1:
        return None
    (option,) = chosen
    if _denies(text, [span for span, _ in free]) and not _opens_with(option, text):
        return None
    return option


def _mentions(option: str, text: str) -> list[tuple[int, int]]:
    """(start, stop) of each mention of `option` in `text`. Letters keep their case: `A` is a choice where it is no article."""
    if re.fullmatch(r"[A-Z]", option):
        found = re.finditer(rf"(?<![\w'-]){option}(?![\w'-])", text)
        return [m.span() for m in found if option not in "AI" or not _ARTICLE.match(text, m.end())]
    plain, folded = normalise(option), text.casefold()
    if plain not in folded:
        return []  # most options are not: spares a pattern for each
    # a hyphen joins words: "clockwise" is not mentioned in "counter-clockwise"
    return [m.span() for m in re.finditer(rf"(?<![\w-]){re.escape(plain)}(?![\w-])", folded)]


def _inside(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return span != other and other[0] <= span[0] and span[1] <= other[1]


def _denies(text: str, spans: list[tuple[int, int]]) -> bool:
    found = _NEGATION.finditer(text.casefold())
    return any(not any(start <= m.start() and m.end() <= stop for start, stop in spans) for m in found)


def _opens_with(option: str, text: str) -> bool:
    """`No, it does not move` is a plain no, though it denies something."""
    plain = normalise(option)
    return plain in ("yes", "no") and re.match(rf"{plain}\s*[,.;:!]", text.casefold()) is not None
