"""Difficulty: one number per preference pair, larger = harder, which the curriculum orders by."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

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


def difficulty_from_reward_gap(prompt_ids: Sequence[str], gaps: Sequence[float]) -> list[float]:
    """Place of a pair among the pairs of its prompt, 0 the one with the largest gap between its two rewards (Curry-DPO).

    Of four responses to one prompt, the best against the worst is 0, against the third 1 and against the second 2, so that every
    stage by value meets every prompt once (https://arxiv.org/abs/2403.07230). Equal gaps share a place.
    """
    of_prompt: dict[str, set[float]] = {}
    for prompt, gap in zip(prompt_ids, gaps, strict=True):
        of_prompt.setdefault(prompt, set()).add(gap)
    places = {prompt: {gap: i for i, gap in enumerate(sorted(found, reverse=True))} for prompt, found in of_prompt.items()}
    return [float(places[prompt][gap]) for prompt, gap in zip(prompt_ids, gaps, strict=True)]


def gaps_of_ratings(pair_ids: Sequence[str], chosen: Sequence[float], rejected: Sequence[float]) -> list[float]:
    """Rating of the chosen response minus that of the rejected one. Raises InputError, naming the pair, where that is negative."""
    _same_length(pair_ids, chosen=chosen, rejected=rejected)
    for pair_id, one, other in zip(pair_ids, chosen, rejected, strict=True):
        if other > one:
            raise InputError(f"pair {pair_id}: its rejected response is rated {other:g}, above its chosen one with {one:g}")
    return [one - other for one, other in zip(chosen, rejected, strict=True)]


def difficulty_from_text_length(chosen: Sequence[str], rejected: Sequence[str]) -> list[float]:
    """Characters of the two responses together: a control that knows of length alone.

    Characters, because every pair has them; tokens would need a tokenizer, or pairs that were scored.
    """
    return [float(len(one) + len(other)) for one, other in zip(chosen, rejected, strict=True)]


def difficulty_from_column(pair_ids: Sequence[str], column: str, values: Sequence[float | None]) -> list[float]:
    """A user's own numbers, larger = harder. Raises InputError, naming pair and column, for one that is missing or not finite."""
    _same_length(pair_ids, **{column: values})
    difficulties = []
    for pair_id, value in zip(pair_ids, values, strict=True):
        if value is None or not math.isfinite(value):
            raise InputError(
                f"pair {pair_id}: column {column}: should be a number, got {value}; fill it in or leave the pair out"
            )
        difficulties.append(float(value))
    return difficulties


def blended_difficulty(difficulties: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> list[float]:
    """Weighted mean of the ranks of several difficulties (see `ranks`), so that their units do not matter; between 0 and 1."""
    total = math.fsum(weights.values())
    columns = [(weights[name], ranks(difficulties[name])) for name in sorted(weights)]
    return [math.fsum(weight * column[i] for weight, column in columns) / total for i in range(len(columns[0][1]))]


def ranks(values: Sequence[float]) -> list[float]:
    """Share of the other pairs that are easier, a pair of equal difficulty counting half: 0 the easiest of all, 1 the hardest."""
    if len(values) < 2:
        return [0.0] * len(values)
    array = np.asarray(values, dtype=np.float64)
    ordered = np.sort(array)
    easier, not_harder = np.searchsorted(ordered, array, "left"), np.searchsorted(ordered, array, "right")
    return ((easier + not_harder - 1) / 2 / (len(array) - 1)).tolist()


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
