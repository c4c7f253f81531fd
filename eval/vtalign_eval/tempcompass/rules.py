"""The published matching rules, traps included: which option does a reply choose? What no rule matches is unmatched, and wrong.

From `eval_multi-choice.py`, `eval_yes_no.py` and `eval_caption_matching.py`. Without a judge an unmatched reply stays in the
denominator, as with their `--disable_llm`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vtalign_eval.items import Item
from vtalign_eval.tempcompass.questions import CAPTION_MATCHING, MULTI_CHOICE, YES_NO

_LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Match:
    """What a rule found: the option chosen (a letter where the question has no such option) and whether it is right."""

    choice: str
    correct: bool


def match(reply: str | None, item: Item) -> Match | None:
    """The reply under the rule of its task; None: unmatched. A null prediction is unmatched before any rule."""
    if reply is None:
        return None
    text = clean(reply)
    if item.task == MULTI_CHOICE:
        return match_multi_choice(text, item.options, item.answer)
    if item.task == YES_NO:
        return match_yes_no(text, item.answer)
    if item.task == CAPTION_MATCHING:
        return match_caption(text, item.options, item.answer)
    raise ValueError(f"{item.task}: has no matching rule")


def clean(reply: str) -> str:
    return reply.replace("</s>", "").strip()


def match_multi_choice(text: str, options: Sequence[str], answer: str) -> Match | None:
    """The answer's whole line, a bare capital letter A to D, or a start like `A.` or `A)`."""
    if text == answer:
        return Match(answer, True)
    starts = text if text in _LETTERS else text[:1] if text[:2] in {f"{x}{mark}" for x in _LETTERS for mark in ".)"} else ""
    if not starts:
        return None
    line = next((option for option in options if option.strip().startswith(starts)), starts)
    return Match(line, starts == answer[0])


def match_yes_no(text: str, answer: str) -> Match | None:
    """A prefix test, as published: `None` and `Not sure` are read as no."""
    found = re.match("yes|no", text.lower())
    return Match(found[0], found[0] == answer) if found else None


def match_caption(text: str, options: Sequence[str], answer: str) -> Match | None:
    """A whole line, its caption (also behind `) `), its head (`Caption A`) or its mark (`A`), the last two with dots anywhere.

    The last rule that matches wins, and of one rule the last option.
    """
    caption = text.split(") ")[1] if ") " in text else text
    undotted = text.replace(".", "")
    lines = [(line, line) for line in options if line == text]
    captions = [(_caption(line), line) for line in options if _caption(line) in (text, caption)]
    heads = [(_head(line), line) for line in options if _head(line) in (text, undotted)]
    marks = [(_mark(line), line) for line in options if _mark(line) in (text, undotted)]
    found = [*lines, *captions, *heads, *marks]
    if not found:
        return None
    matched, line = found[-1]
    return Match(line, matched in (answer, _head(answer), _caption(answer), _mark(answer)))


def _head(line: str) -> str:
    return line.split(": ")[0]


def _caption(line: str) -> str:
    return line.split(": ")[1]


def _mark(line: str) -> str:
    return _head(line).rpartition(" ")[2]
