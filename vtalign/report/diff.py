"""Two texts with their differences marked, word by word."""

import re
from difflib import SequenceMatcher

from markupsafe import Markup, escape

WORDS = re.compile(r"\s+|[^\W_]+(?:['’-][^\W_]+)*|.", re.DOTALL)


def diff_words(chosen: str, rejected: str) -> tuple[Markup, Markup]:
    """(chosen, rejected), escaped; what only one of them says is in `<mark>`. Spaces alone never count as a difference."""
    left, right = WORDS.findall(chosen), WORDS.findall(rejected)
    matcher = SequenceMatcher(a=left, b=right, autojunk=False)
    only_left, only_right = set(range(len(left))), set(range(len(right)))
    for block in matcher.get_matching_blocks():
        only_left.difference_update(range(block.a, block.a + block.size))
        only_right.difference_update(range(block.b, block.b + block.size))
    return _marked(left, only_left, "chosen"), _marked(right, only_right, "rejected")


def _marked(words: list[str], different: set[int], side: str) -> Markup:
    """Neighbouring marked words share one mark, the space between them included."""
    marked = [index in different and not word.isspace() for index, word in enumerate(words)]
    for index, word in enumerate(words[1:-1], 1):
        if word.isspace() and marked[index - 1] and marked[index + 1]:
            marked[index] = True
    parts: list[Markup] = []
    for index, word in enumerate(words):
        if marked[index] and (index == 0 or not marked[index - 1]):
            parts.append(Markup('<mark class="{}">').format(side))
        parts.append(escape(word))
        if marked[index] and (index + 1 == len(words) or not marked[index + 1]):
            parts.append(Markup("</mark>"))
    return Markup("").join(parts)
