"""Positions of prompt tokens: the rules by which families were trained, and those of the installed transformers where they differ.

Computed here and not by the model, because a shared row needs the positions of its prompt before the model is at hand (collator
workers), and because releases of transformers differ.

Legend: n prompt tokens, V views of a prompt.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vtalign.errors import InputError

TEXT, VIDEO = 0, 2  # values of `mm_token_type_ids`

Positions = Literal["trained", "library"]
"""`trained`: as the checkpoints were trained; `library`: what `get_rope_index` of the installed transformers gives."""


@dataclass(frozen=True)
class Grid:
    """The visual tokens of one view: `frames` x `height` x `width`, and how many positions lie between two frames of it."""

    frames: int
    height: int
    width: int
    step: float = 1.0


# (token types (n,), grids of the V views) -> positions (axes, n)
PositionRule = Callable[[NDArray[np.int64], Sequence[Grid]], NDArray[np.int64]]


def counted(types_n: NDArray[np.int64], grids_V: Sequence[Grid]) -> NDArray[np.int64]:
    """(1, n): one after the other, text or not."""
    return np.arange(len(types_n))[None]


def one_grid_per_frame(types_n: NDArray[np.int64], grids_V: Sequence[Grid]) -> NDArray[np.int64]:
    """Qwen3-VL's M-RoPE: (3, n) positions (temporal, height, width).

    Every temporal patch is a grid of its own behind its timestamp, so text goes on at the largest position of the grid + 1, which
    is max(height, width) after its start.
    """
    frames = [Grid(1, grid.height, grid.width) for grid in grids_V for _ in range(grid.frames)]
    return _mrope(types_n, frames, _after_largest)


def one_grid_per_video(types_n: NDArray[np.int64], grids_V: Sequence[Grid]) -> NDArray[np.int64]:
    """M-RoPE of Qwen2-VL and Qwen2.5-VL as they were trained: (3, n); text goes on at the video's largest position + 1.

    The rule of the papers and of transformers up to 5.2 (`llm_pos_ids_list[-1].max() + 1`): T = 84 temporal patches of 12 x 16
    tokens, 4 positions apart, behind 15 text tokens end at 347, and text goes on at 348 (huggingface/transformers#45381).
    """
    return _mrope(types_n, grids_V, _after_largest)


def one_grid_per_video_in_library(types_n: NDArray[np.int64], grids_V: Sequence[Grid]) -> NDArray[np.int64]:
    """As transformers 5.23 does it: text goes on max(height, width) after the video's start, however long the video is."""
    return _mrope(types_n, grids_V, _after_sides)


def _after_largest(grid: Grid, positions_3n: NDArray[np.int64]) -> int:
    return int(positions_3n.max()) + 1


def _after_sides(grid: Grid, positions_3n: NDArray[np.int64]) -> int:
    return int(positions_3n[0, 0]) + max(grid.height, grid.width)


def _mrope(
    types_n: NDArray[np.int64], grids: Sequence[Grid], following: Callable[[Grid, NDArray[np.int64]], int]
) -> NDArray[np.int64]:
    """(3, n) for a prompt whose runs of visual tokens show `grids` in order. Raises InputError where runs and grids differ."""
    positions = np.empty((3, len(types_n)), dtype=np.int64)
    position, shown = 0, 0
    for start, stop in _runs(types_n):
        if types_n[start] == TEXT:
            positions[:, start:stop] = np.arange(position, position + stop - start)
            position += stop - start
            continue
        if shown == len(grids) or grids[shown].frames * grids[shown].height * grids[shown].width != stop - start:
            raise InputError(f"placeholder run {shown} of the prompt has {stop - start} visual tokens; its views have {grids}")
        positions[:, start:stop] = position + _within(grids[shown])
        position = following(grids[shown], positions[:, start:stop])
        shown += 1
    if shown != len(grids):
        raise InputError(f"the prompt has {shown} placeholder runs, its views have {len(grids)}")
    return positions


def _runs(types_n: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    edges = (np.flatnonzero(np.diff(types_n)) + 1).tolist()
    return zip([0, *edges], [*edges, len(types_n)], strict=True)


def _within(grid: Grid) -> NDArray[np.int64]:
    """(3, tokens) from 0 on, in the order of the tokens: frames, then rows, then columns."""
    # single precision, as in the model's own code: another rounding would move frames by one position
    temporal = (np.arange(grid.frames, dtype=np.float32) * np.float32(grid.step)).astype(np.int64)
    axes = np.meshgrid(temporal, np.arange(grid.height), np.arange(grid.width), indexing="ij")
    return np.stack([axis.ravel() for axis in axes])
