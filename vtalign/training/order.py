"""The order in which a dpo stage meets its pairs, from its curriculum."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Literal

from vtalign.curriculum import (
    CurriculumSampler,
    blended_difficulty,
    difficulty_from_column,
    difficulty_from_divergence,
    difficulty_from_reward_gap,
    difficulty_from_scores,
    difficulty_from_strength,
    difficulty_from_text_length,
)
from vtalign.curriculum.difficulty import gaps_of_ratings
from vtalign.errors import InputError
from vtalign.preference.pair import Scores
from vtalign.training.curriculum import (
    COLUMN,
    DEFAULT_STAGES,
    FROM_SCORES,
    RATED_GAP,
    CurriculumSettings,
    by_value,
    describe,
    rating_columns,
)
from vtalign.training.data import PairExample

STRETCHES = 10  # of a training without stages, in each of which pairs about one video come together


def curriculum_order(
    examples: Sequence[PairExample],
    curriculum: CurriculumSettings,
    wanted: int,
    seed: int,
    *,
    per_step: int = 1,
    scores: Mapping[str, Scores] | None = None,
) -> tuple[list[int], list[int]]:
    """(`wanted` indices of examples in the order of training, stage of each example from 1 = easiest).

    Pairs about the same views that lie within `curriculum.window` steps of `per_step` pairs come together, to share rows, but never
    across the border of two stages that follow each other. The order by pair id does not depend on how `examples` are arranged.
    `scores`, by pair id, take the place of those that the pairs came with (`curriculum.rescore`).

    Raises InputError where a pair has no difficulty, where all are equally hard and where there are fewer pairs than stages.
    """
    if curriculum.rescore and scores is None:
        raise ValueError("a curriculum that rescores needs `scores`")
    by_id = sorted(range(len(examples)), key=lambda index: examples[index].id)
    sampler = CurriculumSampler(
        difficulties([examples[index] for index in by_id], curriculum, scores),
        order=curriculum.order,
        pacing=curriculum.pacing,
        stages=curriculum.stages or _default_stages(curriculum, len(examples)),
        start=curriculum.start_share,
        duration=curriculum.duration_share,
        replay=curriculum.replay,
        length=wanted,
        seed=seed,
    )
    stretches = [sampler.stage_at(position) if curriculum.has_stages else 0 for position in range(wanted)]
    keys = [examples[index].prompt.views for index in by_id]
    order = together(sampler.indices, keys, stretches, _window(curriculum, len(examples), wanted, per_step))
    levels = [0] * len(examples)
    for index, stage in zip(by_id, sampler.pair_stages, strict=True):
        levels[index] = stage + 1
    return [by_id[place] for place in order], levels


def together(order: Sequence[int], keys: Sequence[Hashable], stretches: Sequence[int], window: int) -> list[int]:
    """`order` cut where `stretches` (one per position) changes, before repeats and after `window` positions; in each piece indices
    of equal `keys` (one per index) stand side by side, where the first of them stood."""
    found: list[int] = []
    piece: dict[int, None] = {}
    for position, index in enumerate(order):
        if len(piece) == window or index in piece or (position and stretches[position] != stretches[position - 1]):
            found += _side_by_side(piece, keys)
            piece = {}
        piece[index] = None
    return found + _side_by_side(piece, keys)


def difficulties(
    examples: Sequence[PairExample], curriculum: CurriculumSettings, scores: Mapping[str, Scores] | None = None
) -> list[float]:
    """One per example, of the pair as it was built: labels swapped as a control do not change the order.

    Raises InputError, naming the pair and what it lacks, or where an order from easy to hard is asked of pairs that are all alike.
    """
    measured = {name: _measured(name, examples, curriculum, scores) for name in curriculum.weights}
    found = blended_difficulty(measured, curriculum.weights) if len(measured) > 1 else next(iter(measured.values()))
    if curriculum.order in ("easy_to_hard", "hard_to_easy") and len(found) > 1 and len(set(found)) == 1:
        raise InputError(f"curriculum: all {len(found)} pairs are equally hard, so there is no order {describe(curriculum)}")
    return found


def require_difficulties(examples: Sequence[PairExample], curriculum: CurriculumSettings) -> None:
    """What `difficulties` raises, before a model is loaded; scores that are still to be made anew are left out."""
    if not curriculum.rescore:
        difficulties(examples, curriculum)
        return
    for name in curriculum.weights:
        if name not in FROM_SCORES:
            _measured(name, examples, curriculum, None)


def _measured(
    name: str, examples: Sequence[PairExample], curriculum: CurriculumSettings, scores: Mapping[str, Scores] | None
) -> list[float]:
    pairs = [example.pair for example in examples]
    ids = [pair.pair_id for pair in pairs]
    if name == "strength":
        strengths = [pair.perturbation.strength if pair.perturbation is not None else None for pair in pairs]
        if curriculum.order == "random" and None in strengths:
            return [0.0] * len(pairs)  # pairs that no perturbation made have no strength, and a random order needs none
        return difficulty_from_strength(ids, strengths)
    if name == "text_length":
        return difficulty_from_text_length([pair.chosen for pair in pairs], [pair.rejected for pair in pairs])
    if name.startswith(COLUMN):
        return _column(name.removeprefix(COLUMN), examples)
    prompts = [pair.group_id for pair in pairs]
    if name.startswith(RATED_GAP):
        chosen, rejected = (_column(column, examples) for column in rating_columns(name))
        return difficulty_from_reward_gap(prompts, gaps_of_ratings(ids, chosen, rejected))
    said = [scores.get(pair.pair_id) for pair in pairs] if scores is not None else [pair.scores for pair in pairs]
    if name == "divergence":
        return difficulty_from_divergence(ids, [getattr(score, "divergence", None) for score in said])
    columns = ("logp_chosen", "logp_rejected", "tokens_chosen", "tokens_rejected")
    margins = difficulty_from_scores(ids, *([getattr(score, column, None) for score in said] for column in columns))
    if name == "score":
        return margins
    return difficulty_from_reward_gap(prompts, [-margin for margin in margins])


def _column(column: str, examples: Sequence[PairExample]) -> list[float]:
    return difficulty_from_column([example.id for example in examples], column, [e.columns.get(column) for e in examples])


def _default_stages(curriculum: CurriculumSettings, pairs: int) -> int | Literal["by_value"]:
    return "by_value" if by_value(curriculum) else min(DEFAULT_STAGES, pairs)


def _window(curriculum: CurriculumSettings, pairs: int, wanted: int, per_step: int) -> int:
    """How many positions may be brought together."""
    if curriculum.window != "stage":
        return curriculum.window * per_step
    return pairs if curriculum.pacing == "staged" else max(per_step, math.ceil(wanted / STRETCHES))


def _side_by_side(piece: Iterable[int], keys: Sequence[Hashable]) -> list[int]:
    alike: dict[Hashable, list[int]] = {}
    for member in piece:
        alike.setdefault(keys[member], []).append(member)
    return [member for members in alike.values() for member in members]
