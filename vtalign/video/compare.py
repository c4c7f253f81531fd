"""Does a selected reader show the frames that PyAV shows? Asked at ingest, because decord is silently wrong on ordinary files."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtalign.video.pixels import Fit
from vtalign.video.readers import read_frames

if TYPE_CHECKING:
    from vtalign.video.limits import DecodeLimits

_SIZE = Fit(max_pixels=320 * 240, multiple=1)
_SAME = 4.0  # mean absolute difference (0..255) under which two decoders show the same frame


@dataclass(frozen=True)
class ReaderDifference:
    """Frame `frame` as the reader shows it. `difference`: mean absolute difference to PyAV's, 255 where even the shape differs;
    `looks_like`: the neighbour that it resembles more than the frame that was asked for."""

    frame: int
    difference: float
    looks_like: int | None

    def __str__(self) -> str:
        shown = f", looks like {self.looks_like}" if self.looks_like is not None else ""
        return f"frame {self.frame}: off by {self.difference:.1f}{shown}"


def compare_readers(path: Path, reader: str, frames: int, limits: "DecodeLimits", *, sample: int = 16) -> list[ReaderDifference]:
    """Where `reader` differs from PyAV on `sample` evenly spread frames of a video with `frames` frames; empty where nowhere.

    Raises VideoError where either cannot read the video.
    """
    asked = sorted({round(x) for x in np.linspace(0, frames - 1, min(sample, frames))})
    around = sorted({i for a in asked for i in range(a - 2, a + 3) if 0 <= i < frames})
    right = dict(zip(around, read_frames(path, around, _SIZE, limits), strict=True))
    given = read_frames(path, asked, _SIZE, limits, reader)
    found = (_difference(frame, image, right) for frame, image in zip(asked, given, strict=True))
    return [difference for difference in found if difference is not None]


def _difference(frame: int, given: np.ndarray, right: dict[int, np.ndarray]) -> ReaderDifference | None:
    if given.shape != right[frame].shape:
        return ReaderDifference(frame, 255.0, None)
    near = {i: _distance(given, right[i]) for i in range(frame - 2, frame + 3) if i in right}
    best = min(near, key=lambda i: near[i])
    # In a slow scene the neighbours are nearly the same: then a clearly better match tells what was shown.
    moved = best != frame and near[best] < near[frame] / 2 and near[frame] - near[best] > 0.1
    if near[frame] <= _SAME and not moved:
        return None
    return ReaderDifference(frame, round(near[frame], 2), best if moved else None)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())
