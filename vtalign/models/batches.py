"""Which prompts and rows are read together: of like length, so that little is padding, and side by side what shows the same views."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from vtalign.errors import InputError
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row

# Batches within which rows are put together by length. What is compared stands close in the order of prompts, and its hidden
# states are held until both sides have come: sorted over everything, those of a whole corpus would be.
_WINDOW = 8


def prompt_batches(prompts: Sequence[Prompt], size: int) -> list[list[int]]:
    """Indices of `prompts` in batches of `size`. Raises InputError for a size below 1."""
    order = _in_order(prompts, size)
    return [order[start : start + size] for start in range(0, len(order), size)]


def row_batches(rows: Sequence[Row], size: int) -> list[list[int]]:
    """Indices of `rows` in batches of at most `size`, and of no more responses than `size` rows have on average.

    A row of many responses would pad all others, and a tail that holds all of their tokens needs a mask of as many rows: they are
    read apart. Raises InputError for a size below 1.
    """
    order = _in_order([row.prompt for row in rows], size)
    batches: list[list[int]] = []
    for start in range(0, len(order), _WINDOW * size):
        window = order[start : start + _WINDOW * size]
        most = size * sum(len(rows[index].responses) for index in window) / len(window)
        for alike in _by_length(rows, window):
            batches += _cut(rows, alike, size, most)
    return batches


def _in_order(prompts: Sequence[Prompt], size: int) -> list[int]:
    if size < 1:
        raise InputError(f"batch_size must be at least 1, got {size}")
    first_seen: dict[tuple[Any, ...], int] = {}
    keys = []
    for index, prompt in enumerate(prompts):
        views = prompt.views
        keys.append((sum(map(len, views)), first_seen.setdefault(views, index), len(prompt.text), index))
    return sorted(range(len(prompts)), key=keys.__getitem__)


def _by_length(rows: Sequence[Row], indices: Sequence[int]) -> list[list[int]]:
    """`indices` in groups, in their order, by how many characters follow the views (to a factor of four), the fewest first."""
    behind: Counter[tuple[Any, ...]] = Counter()  # rows about the same views become one
    for index in indices:
        behind[rows[index].prompt.views] += len(rows[index].prompt.text) + sum(map(len, rows[index].responses))
    groups: dict[int, list[int]] = {}
    for index in indices:
        groups.setdefault(behind[rows[index].prompt.views].bit_length() // 2, []).append(index)
    return [groups[magnitude] for magnitude in sorted(groups)]


def _cut(rows: Sequence[Row], indices: Sequence[int], size: int, most: float) -> list[list[int]]:
    batches: list[list[int]] = []
    responses = 0
    for index in indices:
        count = len(rows[index].responses)
        if not batches or len(batches[-1]) == size or responses + count > most:
            batches.append([])
            responses = 0
        batches[-1].append(index)
        responses += count
    return batches
