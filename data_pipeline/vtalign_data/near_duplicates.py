"""The rule `near_duplicate` of stage 11: pairs of one video that say almost the same.

Texts are compared by the Jaccard similarity of their word shingles (https://doi.org/10.1109/SEQUEN.1997.666900), which, unlike sets
of words, see order: the sentences of a shuffled response are those of the right one. Two pairs are as similar as the least similar
of their prompts, chosen and rejected sides. A video has tens of pairs, so all of them are compared; no sketches are needed.
"""

from collections import defaultdict
from collections.abc import Sequence

from vtalign.preference.pair import VIEW_KIND
from vtalign_data.score_filter_config import ScoreFilterConfig
from vtalign_data.score_rules import ScoredPair

SHINGLE = 3
"""Words in a shingle."""

Shingles = frozenset[tuple[str, ...]]


def near_duplicates(pairs: Sequence[ScoredPair], config: ScoreFilterConfig) -> dict[str, str]:
    """Pairs that are similar to one of their video and kind with a smaller id, whether that one stays or not.

    Pairs of kind `view` are left alone: they say the same by design.
    """
    if config.near_duplicate is None:
        return {}
    families: dict[tuple[str, str], list[ScoredPair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: pair.pair_id):
        if pair.kind != VIEW_KIND:
            families[pair.video_id, pair.kind].append(pair)
    broken: dict[str, str] = {}
    for family in families.values():
        texts = [tuple(shingles(text) for text in (pair.prompt, pair.chosen, pair.rejected)) for pair in family]
        for place, pair in enumerate(family):
            for earlier in range(place):
                similarity = min(jaccard(a, b) for a, b in zip(texts[earlier], texts[place], strict=True))
                if similarity >= config.near_duplicate:
                    broken[pair.pair_id] = f"{similarity:.2f} like {family[earlier].pair_id}"
                    break
    return broken


def shingles(text: str) -> Shingles:
    """Every run of `SHINGLE` words, case and punctuation at word ends aside; a shorter text is one shingle."""
    words = tuple(word.strip(".,;:!?\"'()").casefold() for word in text.split())
    return frozenset(words[start : start + SHINGLE] for start in range(max(1, len(words) - SHINGLE + 1)))


def jaccard(a: Shingles, b: Shingles) -> float:
    """|a and b| / |a or b|, from 0 (nothing shared) to 1 (the same)."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)
