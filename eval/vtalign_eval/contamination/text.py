"""Word n-grams that questions share with training texts.

The rule of GPT-3 (Brown et al. 2020, https://arxiv.org/abs/2005.14165, appendix C): a test example is contaminated where it shares
13 words in a row with the training set, case and punctuation ignored; shorter examples are matched as a whole, and not at all
below 8 words, where matches are coincidence.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class TextMatch:
    """A question and the texts that it shares n-grams with, by their ids in the order given.

    `overlap`: the longest run of the question's words that is covered by shared n-grams; `share`: of its n-grams.
    """

    question: str
    texts: tuple[str, ...]
    overlap: str
    share: float


def words_of(text: str) -> list[str]:
    """Words in lower case without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def gram_size(words: int, ngram: int, shortest: int) -> int | None:
    """Length of the n-grams of a text with so many words; None where it is too short to say anything."""
    return None if words < min(shortest, ngram) else min(words, ngram)


def text_matches(questions: Mapping[str, str], texts: Mapping[str, str], ngram: int, shortest: int) -> list[TextMatch]:
    """The questions (id -> text) that share an n-gram with some of `texts` (id -> text), in the order of `questions`."""
    split = {name: words_of(text) for name, text in questions.items()}
    sizes = {name: size for name, words in split.items() if (size := gram_size(len(words), ngram, shortest))}
    wanted = {gram for name, size in sizes.items() for gram in _grams(split[name], size)}
    found: dict[str, list[str]] = {}
    for name, text in texts.items():
        words = words_of(text)
        for gram in {gram for size in set(sizes.values()) for gram in _grams(words, size)} & wanted:
            found.setdefault(gram, []).append(name)
    matches = []
    for name, size in sizes.items():
        grams = list(_grams(split[name], size))
        shared = [gram in found for gram in grams]
        if any(shared):
            where = {text for gram in grams for text in found.get(gram, ())}
            overlap = " ".join(_longest_run(split[name], shared, size))
            matches.append(TextMatch(name, tuple(text for text in texts if text in where), overlap, sum(shared) / len(shared)))
    return matches


def _grams(words: list[str], size: int) -> Iterable[str]:
    return (" ".join(words[start : start + size]) for start in range(len(words) - size + 1))


def _longest_run(words: list[str], shared: list[bool], size: int) -> list[str]:
    """The longest stretch of words that shared n-grams cover without a gap between their starts."""
    best, start = (0, 0), None
    for place, here in enumerate([*shared, False]):
        if here and start is None:
            start = place
        elif not here and start is not None:
            best = max(best, (start, place - 1 + size), key=lambda span: span[1] - span[0])
            start = None
    return words[best[0] : best[1]]
