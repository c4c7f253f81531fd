"""Which stage of the curriculum each pair belongs to. Stage 0 is the easiest."""

import math
from collections.abc import Sequence

import numpy as np

from vtalign.errors import InputError
from vtalign.ids import seed_from


def equal_stages(difficulties: Sequence[float], count: int, *, seed: int) -> list[int]:
    """Stage of each pair: `count` stages from easy to hard, their sizes equal or one apart.

    Pairs of equal difficulty that a border divides are divided by a seeded draw. With as many stages as pairs, the order is
    strict. Raises InputError where a difficulty is not a number or there are more stages than pairs.
    """
    n = len(difficulties)
    ordered = from_easy_to_hard(difficulties, seed=seed)
    if not 1 <= count <= n:
        raise InputError(f"curriculum stages: should be between 1 and the number of pairs ({n}), got {count}")
    stages = np.empty(n, dtype=np.int64)
    stages[ordered] = np.arange(n) * count // n
    return stages.tolist()


def stages_by_value(difficulties: Sequence[float]) -> list[int]:
    """Stage of each pair: one stage per distinct difficulty, as TEMPLE's r16 -> r8 -> r4 -> r2 with nominal strengths."""
    return np.unique(_checked(difficulties), return_inverse=True)[1].tolist()


def from_easy_to_hard(difficulties: Sequence[float], *, seed: int) -> np.ndarray:
    """Indices of the pairs, (n,), the easiest first; equal difficulties in a seeded order."""
    values = _checked(difficulties)
    return np.lexsort((seeded_uniform(len(values), "curriculum-stages", seed), values))


def seeded_uniform(n: int, *content: str | int) -> np.ndarray:
    """n float64 numbers in [0, 1) that depend on `content` alone."""
    return np.random.default_rng(seed_from(*content)).random(n)


def _checked(difficulties: Sequence[float]) -> np.ndarray:
    if not difficulties:
        raise InputError("curriculum: there are no pairs to order")
    for index, value in enumerate(difficulties):
        if value is None or not math.isfinite(value):
            raise InputError(f"curriculum: difficulty of pair {index} is {value}; every pair needs a finite one")
    return np.asarray(difficulties, dtype=np.float64)
