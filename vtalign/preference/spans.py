"""Phrase spans: where two responses differ, as characters of the texts, and which tokens that are (for RRPO).

Spans belong to the clean text, and tokens are found through the tokenizer's offsets: no tags are put into the text, so no pair is
lost because tags change how it is tokenised.
"""

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

from vtalign.preference.pair import Spans
from vtalign.preference.words import Word, split_words


def differing_spans(chosen: str, rejected: str) -> tuple[Spans, Spans]:
    """Phrases of either text that the other one does not have at that place, from a diff of words.

    Case and punctuation alone make no difference, unless there is no other: texts that differ in anything visible have a span
    on at least one side. What only one of the texts has (an insertion) is a span there and none on the other side. A span
    begins and ends with a word; outside the spans both texts have the same words in the same order.
    """
    one, other = split_words(chosen), split_words(rejected)
    spans = _differences(_spoken(one), _spoken(other), lambda word: word.key)
    return spans if any(spans) else _differences(one, other, lambda word: word.text)


def phrase_mask(spans: Spans, offsets: Sequence[tuple[int, int]]) -> list[bool]:
    """Which tokens overlap a span, however little, given the (start, stop) characters of each (`response_offsets`).

    A token of no characters counts where it stands inside a span (white space that a tokenizer trims from its offsets); the end
    of turn, behind the text, never does.
    """
    return [any(start < span_stop and span_start < stop for span_start, span_stop in spans) for start, stop in offsets]


def _spoken(words: list[Word]) -> list[Word]:
    return [word for word in words if not word.is_punctuation]


def _differences(chosen: list[Word], rejected: list[Word], key: Callable[[Word], str]) -> tuple[Spans, Spans]:
    """Spans of the words that differ by `key`."""
    matcher = SequenceMatcher(None, list(map(key, chosen)), list(map(key, rejected)), autojunk=False)
    changed = [places for kind, *places in matcher.get_opcodes() if kind != "equal"]
    return (
        tuple((chosen[first].start, chosen[stop - 1].stop) for first, stop, _, _ in changed if first < stop),
        tuple((rejected[first].start, rejected[stop - 1].stop) for _, _, first, stop in changed if first < stop),
    )
