"""The order in which a dpo stage meets its pairs, from its curriculum."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from vtalign.curriculum import CurriculumSampler, difficulty_from_divergence, difficulty_from_scores, difficulty_from_strength
from vtalign.training.config import CurriculumSettings
from vtalign.training.data import PairExample

DEFAULT_STAGES = 4  # where every pair has a difficulty of its own


def curriculum_order(
    examples: Sequence[PairExample], curriculum: CurriculumSettings, wanted: int, seed: int
) -> tuple[list[int], list[int]]:
    """(`wanted` indices of examples in the order of training, stage of each example from 1 = easiest).

    The whole training is one curriculum: where it is no whole number of passes, every stage is shortened alike, so that the
    hardest one (or, in reverse, the easiest) is not the one that gets lost.
    """
    default: int | Literal["by_value"] = "by_value" if curriculum.by == "strength" else min(DEFAULT_STAGES, len(examples))
    sampler = CurriculumSampler(
        _difficulties(examples, curriculum),
        order=curriculum.order,
        stages=curriculum.stages or default,
        epochs=math.ceil(wanted / len(examples)),
        seed=seed,
    )
    stages, indices = sampler.pair_stages, sampler.indices
    if curriculum.order in ("easy_to_hard", "hard_to_easy"):
        runs = [list(run) for _, run in groupby(indices, key=stages.__getitem__)]
        kept, done, seen = [], 0, 0
        for run in runs:
            seen += len(run)
            goal = wanted * seen // len(indices)
            kept += run[: goal - done]
            done = goal
        indices = kept
    return indices[:wanted], [stage + 1 for stage in stages]


def _difficulties(examples: Sequence[PairExample], curriculum: CurriculumSettings) -> list[float]:
    """One per example, of the pair as it was built: labels swapped as a control do not change the order."""
    pairs = [example.pair for example in examples]
    ids = [pair.pair_id for pair in pairs]
    if curriculum.by == "score":
        columns = ("logp_chosen", "logp_rejected", "tokens_chosen", "tokens_rejected")
        scores = [[getattr(pair.scores, column, None) for pair in pairs] for column in columns]
        return difficulty_from_scores(ids, *scores)
    if curriculum.by == "divergence":
        return difficulty_from_divergence(ids, [getattr(pair.scores, "divergence", None) for pair in pairs])
    strengths = [pair.perturbation.strength if pair.perturbation is not None else None for pair in pairs]
    if curriculum.order == "random" and None in strengths:
        return [0.0] * len(pairs)  # pairs that no perturbation made have no strength, and a random order needs none
    return difficulty_from_strength(ids, strengths)
