"""Continuous pacing: a share of the pairs is open, which grows as training proceeds."""

import math
from collections.abc import Sequence
from typing import Literal

from vtalign.curriculum.rounds import Rounds, replays_among
from vtalign.curriculum.stages import seeded_uniform

Growth = Literal["linear", "root", "geometric"]


def open_share(growth: Growth, progress: float, *, start: float, duration: float = 1.0) -> float:
    """c(t): the share of the pairs that is open at `progress` t of the training (0 to 1); `start` at 0, all from `duration` on.

    With s = min(1, t / duration): `linear` start + (1 - start) s; `root` sqrt(start^2 + (1 - start^2) s), the competence of
    Platanios et al. (https://arxiv.org/abs/1903.09848), which gives every newcomer its share of attention although there are more
    and more pairs; `geometric` start^(1 - s), which grows by the same factor in the same time and opens the hard ones late.
    """
    s = min(1.0, progress / duration)
    if growth == "linear":
        return start + (1 - start) * s
    if growth == "root":
        return math.sqrt(start**2 + (1 - start**2) * s)
    return start ** (1 - s)


def open_count(pairs: int, growth: Growth, progress: float, *, start: float, duration: float = 1.0) -> int:
    """How many of `pairs` are open: `open_share` of them rounded up, at least one."""
    # rounding up what a float puts a hair above a whole number would open a pair early
    return min(pairs, max(1, math.ceil(pairs * open_share(growth, progress, start=start, duration=duration) - 1e-9)))


def paced_order(
    opening: Sequence[int], length: int, growth: Growth, *, start: float, duration: float, replay: float, seed: int
) -> list[int]:
    """`length` pairs, each open at its position; `opening` lists all pairs in the order in which they open.

    Pairs are drawn without replacement from those that are open until all of these have come, then anew. Of the first m positions,
    m * `replay` (the whole part) are replays as soon as there is something to replay: pairs that came already and belong to the
    half of the open ones that opened first, drawn from in the same way. At position p the progress is p / `length`, so that a
    training of one pass that opens as fast as `linear` meets every pair once.
    """
    draws = seeded_uniform(length, "curriculum-pacing", seed)
    fresh, familiar = Rounds(), Rounds()
    opened = first_half = replayed = 0
    came = [False] * len(opening)
    order = []
    for position in range(length):
        target = open_count(len(opening), growth, position / length, start=start, duration=duration)
        for place in range(opened, target):
            fresh.add(place)
        opened = target
        for place in range(first_half, (opened + 1) // 2):
            if came[place]:
                familiar.add(place)
        first_half = (opened + 1) // 2
        if replayed < replays_among(position + 1, replay) and familiar:
            place = familiar.draw(draws[position])
            replayed += 1
        else:
            place = fresh.draw(draws[position])
            if not came[place] and place < first_half:
                familiar.add(place)
            came[place] = True
        order.append(opening[place])
    return order
