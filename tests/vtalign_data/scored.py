"""Scored pairs written by hand."""

from dataclasses import replace
from typing import Any

from vtalign.preference.pair import Scores
from vtalign_data.lengths import PairLength
from vtalign_data.score_rules import ScoredPair

SCORES = Scores(-10.0, -12.0, 5, 6, -11.0, divergence=0.2, first_token_kl=0.5, ches=-1.0)


def scored(
    number: int, video: str = "video-1", kind: str = "response", said: tuple[str, str, str] | None = None, **scores: Any
) -> ScoredPair:
    """`said`: prompt, chosen, rejected; by default nothing that another number says too."""
    texts = said or tuple(f"{side} {number} says {number} things" for side in ("prompt", "chosen", "rejected"))
    return ScoredPair(f"pair-{number:03d}", video, kind, *texts, replace(SCORES, **scores))


def length_of(pair: ScoredPair) -> PairLength:
    sides = (pair.chosen, pair.rejected)
    return PairLength(pair.pair_id, pair.video_id, pair.kind, *map(len, sides), *(len(side.split()) for side in sides))
