"""Two texts with their differences marked, word by word."""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from markupsafe import Markup, escape

WORDS = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|\S")

_MOST_LOOKS = (
    50_000  # pairs of equal words; a response that repeats itself for a page has millions, and a diff of it says nothing
)

Marks = list[tuple[int, int]]
"""(start, stop) character offsets, rising, without overlap."""


def differing_words(chosen: str, rejected: str) -> tuple[Marks, Marks]:
    """What only one of the texts says, on either side. Spaces alone never count as a difference."""
    left, right = list(WORDS.finditer(chosen)), list(WORDS.finditer(rejected))
    common = _common([word[0] for word in left], [word[0] for word in right])
    only_left, only_right = set(range(len(left))), set(range(len(right)))
    for start_left, start_right, size in common:
        only_left.difference_update(range(start_left, start_left + size))
        only_right.difference_update(range(start_right, start_right + size))
    return _joined(left, only_left), _joined(right, only_right)


def diff_words(chosen: str, rejected: str) -> tuple[Markup, Markup]:
    """(chosen, rejected), escaped; what only one of them says is in `<mark>`."""
    only_chosen, only_rejected = differing_words(chosen, rejected)
    return _marked(chosen, only_chosen, "chosen"), _marked(rejected, only_rejected, "rejected")


def _common(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int, int]]:
    """Runs of words (start in left, start in right, length) that both have, in order."""
    counts = Counter(right)
    if sum(counts[word] for word in left) <= _MOST_LOOKS:
        return [
            (block.a, block.b, block.size) for block in SequenceMatcher(a=left, b=right, autojunk=False).get_matching_blocks()
        ]
    shorter = min(len(left), len(right))
    head = next((n for n in range(shorter) if left[n] != right[n]), shorter)
    tail = next((n for n in range(shorter - head) if left[-1 - n] != right[-1 - n]), shorter - head)
    return [(0, 0, head), (len(left) - tail, len(right) - tail, tail)]


def _joined(words: Sequence[re.Match[str]], different: set[int]) -> Marks:
    """Neighbouring words share one mark, the space between them included."""
    marks: Marks = []
    for index, word in enumerate(words):
        if index in different and index - 1 in different:
            marks[-1] = (marks[-1][0], word.end())
        elif index in different:
            marks.append(word.span())
    return marks


def _marked(text: str, marks: Marks, side: str) -> Markup:
    parts: list[Markup] = []
    end = 0
    for start, stop in marks:
        parts += [escape(text[end:start]), Markup('<mark class="{}">{}</mark>').format(side, text[start:stop])]
        end = stop
    return Markup("").join([*parts, escape(text[end:])])
