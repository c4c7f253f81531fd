"""Segments: the runs of consecutive slots that a perturbation moves, drops or resamples as one."""

from itertools import pairwise
from typing import Literal

from vtalign.errors import InputError

Segments = tuple[tuple[int, int], ...]
"""(start, stop) slot bounds, in order, without gap or overlap, covering a view from 0 to its length."""

Grouping = Literal["even", "temple"]
"""How n things are put into about r groups: `even_groups` or `temple_groups`."""


def even_groups(n: int, count: int) -> Segments:
    """Exactly `count` runs of n things, their sizes equal or one apart (1 <= count <= n)."""
    if not 1 <= count <= n:
        raise InputError(f"cannot split {n} into {count} parts")
    edges = [index * n // count for index in range(count + 1)]
    return tuple(pairwise(edges))


def temple_groups(n: int, strength: int) -> Segments:
    """TEMPLE's rule (lscpku/TEMPLE, generator_base.py): runs of max(1, n // strength) things, the last one maybe shorter.

    Gives between `strength` and 2 * strength - 1 runs, so it is not the same as `even_groups` where strength does not divide n.
    """
    size = max(1, n // strength)
    return tuple((start, min(start + size, n)) for start in range(0, n, size))


def group_units(n: int, strength: int, grouping: Grouping) -> Segments:
    """Bounds of the groups, counted in units (not in slots)."""
    return even_groups(n, strength) if grouping == "even" else temple_groups(n, strength)


def check_segments(segments: Segments, length: int) -> Segments:
    """`segments` as plain tuples; InputError where they do not cover `length` slots in order, without gap or overlap."""
    plain = tuple((int(start), int(stop)) for start, stop in segments)
    expected = 0
    for start, stop in plain:
        if start != expected or stop <= start:
            raise InputError(f"segments {plain}: ({start}, {stop}) should start at {expected} and hold at least one slot")
        expected = stop
    if expected != length:
        raise InputError(f"segments {plain}: end at slot {expected}, but the view has {length} slots")
    return plain
