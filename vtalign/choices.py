"""Reading a reply: which of some options does it choose? What cannot be told is None, and is never guessed.

Exact: the whole reply is one option. Lenient: the reply mentions one option and no other. Known parsers call empty replies "A", read
the article in "A man .." as a choice, or find "clockwise" in "counter-clockwise".
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

_EDGES = " \t\n.,;:!?\"'`*"
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "‐": "-", "‑": "-"})
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|none|cannot|without|incorrect(?:ly)?|wrong(?:ly)?|false(?:ly)?|untrue|inaccurate|except|unlike|"
    r"unlikely|impossible|exclud(?:e|es|ed|ing)|eliminat(?:e|es|ed|ing)|reject(?:s|ed|ing)?|doubt(?:s|ed|ful|ing)?|unclear|unsure|"
    r"rul(?:e|es|ed|ing) out|(?:anything|all|nothing) but|(?:other|rather) than|instead of|as opposed to)\b|n't\b"
)
# "No idea", "no way to tell" and "there is no answer" say neither: the word is all there is, or punctuation or a clause follows it
_YES_NO = re.compile(
    r"[\s\"'`*(]*(?:(?:the |my )?(?:final |correct )?answer(?: is)?[\s:\"'`*(]+|(?:so|therefore|thus|hence|well)[, ]+|"
    r"i(?: would|'d)? (?:think|believe|say)[, ]+)?(?P<word>yes|no)(?![\w'-])"
    r"(?=[\"'`*)]*(?:[ \t]*(?:$|[.,;:!\n])|\s+[-–—]|\s+(?:it|he|she|they|the|there|this|that|these|those)\b))"
)
_UNDECIDED = re.compile(
    r"\b(?:(?:cannot|can't|can not|could not|couldn't|impossible to|hard to|difficult to|not possible to|(?:no|any) way to) "
    r"(?:\w+ly )?(?:say|tell|know|determine|decide|answer|judge)|not (?:sure|certain|clear)|unsure|unclear|(?:don't|do not) know)\b"
)
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
    """The only option that the reply mentions, as whole words, outside of a denial ("not left") or a question ("Is it left?").

    Yes and no are said in too many other ways ("no idea"): see `read_yes_no`.
    """
    by_word = {normalise(option): option for option in options}
    if by_word.keys() == {"yes", "no"}:
        return by_word.get(read_yes_no(reply) or "")
    return mentioned_option(reply, {option: (option,) for option in options})


def read_yes_no(reply: str) -> str | None:
    """`yes` or `no` where the first sentence opens with it (or with "The answer is") as an answer and does not say the other too.

    "No. It stands still. Is it day? Yes." answers our question first. None for "No idea", "Yes? No." and "No, I cannot tell".
    """
    text = unicodedata.normalize("NFKC", reply).translate(_QUOTES).casefold().strip()
    found = _YES_NO.match(text)
    if found is None:
        return None
    rest = text[found.end() :]
    sentence = re.split(r"[.!?\n]", rest, maxsplit=1)
    other = {"yes": "no", "no": "yes"}[found["word"]]
    clause = re.split(r"[.,;!?\n]", rest.lstrip(" .,;:!"), maxsplit=1)[0]
    at_once = re.match(rf"\W*{other}\b(?=\W*$|[.,;!])", rest)  # "Yes. No."
    if at_once or re.search(rf"\b{other}\b", sentence[0]) or _UNDECIDED.search(clause):
        return None
    return found["word"]


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
    spans_of_it = [span for span, _ in free]
    return None if _denies(text, spans_of_it) or _asks(text, spans_of_it) else option


def lettered_spellings(line: str) -> tuple[str, ...]:
    """The ways to mention the option of a line such as `A. left`: its letter, its words, or both."""
    whole = line.strip()
    return tuple(spelling for spelling in (whole[:1], whole[2:].strip(), whole) if normalise(spelling))


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


def _asks(text: str, spans: list[tuple[int, int]]) -> bool:
    """Every mention is in a sentence that ends in a question mark."""
    return all(re.match(r"[^.!?]*\?", text[stop:]) for _, stop in spans)
