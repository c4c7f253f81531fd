"""Which prompts and rows are read together: of like length, so that little is padding, and side by side what shows the same views."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vtalign.errors import InputError
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row

# Batches within which rows are put together by length. Rows that are compared, or show the same frames, are neighbours before: their
# hidden states are held until both sides have come, and frames stay encoded for a while. Sorted over everything, all would be.
_WINDOW = 2


def prompt_batches(prompts: Sequence[Prompt], size: int) -> list[list[int]]:
    """Indices of `prompts` in batches of `size`. Raises InputError for a size below 1."""
    order = _in_order(prompts, size, {})
    return [order[start : start + size] for start in range(0, len(order), size)]


def row_batches(rows: Sequence[Row], size: int, against: Mapping[int, int] | None = None) -> list[list[int]]:
    """Indices of `rows` in batches of at most `size`, and of no more responses than `size` rows have on average.

    A row of many responses would pad all others, and a tail that holds all of their tokens needs a mask of as many rows: they are
    read apart. `against`: which row is compared with which other; they stand close. Raises InputError for a size below 1.
    """
    order = _in_order([row.prompt for row in rows], size, against or {})
    batches: list[list[int]] = []
    for start in range(0, len(order), _WINDOW * size):
        window = order[start : start + _WINDOW * size]
        place = {index: number for number, index in enumerate(window)}
        most = size * sum(len(rows[index].responses) for index in window) / len(window)
        cut = [batch for alike in _by_length(rows, window) for batch in _cut(rows, alike, size, most)]
        batches += sorted(cut, key=lambda batch: min(place[index] for index in batch))
    return batches


def _in_order(prompts: Sequence[Prompt], size: int, against: Mapping[int, int]) -> list[int]:
    if size < 1:
        raise InputError(f"batch_size must be at least 1, got {size}")
    first_seen: dict[tuple[Any, ...], int] = {}
    keys = []
    for index, prompt in enumerate(prompts):
        keys.append((sum(map(len, prompt.views)), first_seen.setdefault(prompt.views, index), len(prompt.text), index))
    return sorted(range(len(prompts)), key=lambda index: (keys[against.get(index, index)][:2], keys[index]))


def _by_length(rows: Sequence[Row], indices: Sequence[int]) -> list[list[int]]:
    """`indices` in groups, by how many characters follow the views (to a factor of four), the fewest first; in each, views of fewer
    frames come first."""
    behind: Counter[tuple[Any, ...]] = Counter()  # rows about the same views become one
    for index in indices:
        behind[rows[index].prompt.views] += len(rows[index].prompt.text) + sum(map(len, rows[index].responses))
    groups: dict[int, list[int]] = {}
    for index in indices:
        groups.setdefault(behind[rows[index].prompt.views].bit_length() // 2, []).append(index)
    return [sorted(groups[magnitude], key=lambda index: sum(map(len, rows[index].prompt.views))) for magnitude in sorted(groups)]


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
