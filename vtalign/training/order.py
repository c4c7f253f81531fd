"""The order in which a dpo stage meets its pairs, from its curriculum."""

import math
from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Literal

from vtalign.curriculum import CurriculumSampler, difficulty_from_divergence, difficulty_from_scores, difficulty_from_strength
from vtalign.training.config import CurriculumSettings
from vtalign.training.data import PairExample

DEFAULT_STAGES = 4  # where every pair has a difficulty of its own


def curriculum_order(
    examples: Sequence[PairExample], curriculum: CurriculumSettings, wanted: int, seed: int, *, per_step: int = 1
) -> tuple[list[int], list[int]]:
    """(`wanted` indices of examples in the order of training, stage of each example from 1 = easiest).

    Pairs about the same views that lie within `curriculum.window` steps of `per_step` pairs come together, to share rows, but never
    across the border of two stages that follow each other.

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
    staged = curriculum.order in ("easy_to_hard", "hard_to_easy")
    if staged:
        runs = [list(run) for _, run in groupby(indices, key=stages.__getitem__)]
        kept, done, seen = [], 0, 0
        for run in runs:
            seen += len(run)
            goal = wanted * seen // len(indices)
            kept += run[: goal - done]
            done = goal
        indices = kept
    keys = [example.prompt.views for example in examples]
    window = len(examples) if curriculum.window == "stage" else curriculum.window * per_step
    indices = together(indices[:wanted], keys, stages if staged else [0] * len(stages), window)
    return indices, [stage + 1 for stage in stages]


def together(order: Sequence[int], keys: Sequence[Hashable], stages: Sequence[int], window: int) -> list[int]:
    """`order` cut into stretches of at most `window` positions, of one stage and without repeats; in each of them indices of
    equal keys stand side by side, where the first of them stood."""
    found: list[int] = []
    stretch: dict[int, None] = {}
    for index in [*order, None]:
        if (
            index is None
            or len(stretch) == window
            or index in stretch
            or (stretch and stages[index] != stages[next(iter(stretch))])
        ):
            alike: dict[Hashable, list[int]] = {}
            for member in stretch:
                alike.setdefault(keys[member], []).append(member)
            found += [member for members in alike.values() for member in members]
            stretch = {}
        if index is not None:
            stretch[index] = None
    return found


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
