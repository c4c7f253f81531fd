"""Difficulty: one number per preference pair, larger = harder, which the curriculum orders by."""

import math
from collections.abc import Sequence

from vtalign.errors import InputError


def difficulty_from_strength(pair_ids: Sequence[str], strengths: Sequence[int | None]) -> list[float]:
    """1 / strength of the perturbation that made the rejected side: a strong one differs plainly, so its pair is easy (TEMPLE).

    Raises InputError, naming the pair, where a strength is missing (a pair that no perturbation made) or below 1.
    """
    _same_length(pair_ids, strengths=strengths)
    difficulties = []
    for pair_id, strength in zip(pair_ids, strengths, strict=True):
        if strength is None:
            raise InputError(
                f"pair {pair_id}: perturbation.strength: missing, so it has no nominal difficulty; order by score instead"
            )
        if strength < 1:
            raise InputError(f"pair {pair_id}: perturbation.strength: should be at least 1, got {strength}")
        difficulties.append(1 / strength)
    return difficulties


def difficulty_from_scores(
    pair_ids: Sequence[str],
    chosen_logps: Sequence[float | None],
    rejected_logps: Sequence[float | None],
    chosen_tokens: Sequence[int | None],
    rejected_tokens: Sequence[int | None],
) -> list[float]:
    """How little the reference model prefers the chosen response: the rejected one's log-prob per token minus the chosen one's.

    Log-probs are token sums on the clean view. They are divided by each response's own token count, because a sum falls with
    every token: unnormalised, the order would be one by length, and every pair whose chosen side is longer (all of `drop`) would
    look hard. Negative: the model already prefers the chosen response (easy). Positive: it prefers the rejected one (hard).

    Raises InputError, naming pair and column, for scores that are missing, not finite or positive, and for empty responses.
    """
    columns = {
        "chosen_logps": chosen_logps,
        "rejected_logps": rejected_logps,
        "chosen_tokens": chosen_tokens,
        "rejected_tokens": rejected_tokens,
    }
    _same_length(pair_ids, **columns)
    difficulties = []
    for index, pair_id in enumerate(pair_ids):
        chosen, rejected, chosen_count, rejected_count = (
            _score(pair_id, name, column[index]) for name, column in columns.items()
        )
        difficulties.append(rejected / rejected_count - chosen / chosen_count)
    return difficulties


def difficulty_from_divergence(pair_ids: Sequence[str], divergences: Sequence[float | None]) -> list[float]:
    """How little the reference model minds the perturbation: minus the divergence of its predictions, clean against perturbed.

    A perturbation that plainly changes what the model expects makes an easy pair. Raises InputError, naming the pair, for a
    divergence that is missing (a pair without a perturbed view, or not scored) or not a number.
    """
    _same_length(pair_ids, divergences=divergences)
    difficulties = []
    for pair_id, divergence in zip(pair_ids, divergences, strict=True):
        if divergence is None or not math.isfinite(divergence):
            raise InputError(f"pair {pair_id}: scores.divergence: should be a number, got {divergence}; score the pairs first")
        difficulties.append(-divergence)
    return difficulties


def _score(pair_id: str, name: str, value: float | None) -> float:
    if value is None or math.isnan(value):
        raise InputError(f"pair {pair_id}: scores.{name}: missing; score the pairs before ordering them by score")
    is_count = name.endswith("tokens")
    if math.isinf(value) or (value < 1 if is_count else value > 0):
        expected = "at least 1" if is_count else "a finite log-prob, at most 0"
        raise InputError(f"pair {pair_id}: scores.{name}: should be {expected}, got {value}")
    return value


def _same_length(pair_ids: Sequence[str], **columns: Sequence[object]) -> None:
    for name, column in columns.items():
        if len(column) != len(pair_ids):
            raise InputError(f"{name}: {len(column)} values for {len(pair_ids)} pairs")
