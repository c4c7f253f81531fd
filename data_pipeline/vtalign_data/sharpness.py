"""The sharpest frames of a clip, TEMPLE's way (lscpku/TEMPLE, preprocess.py `extract_frames` and tools/laplacian.py)."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

PER_CLIP = 2
"""Frames that a caption is asked of (TEMPLE: 2)."""


def sharpness(frame: NDArray[np.uint8]) -> float:
    """Mean absolute Laplacian of the blurred grey frame. `frame` is uint8 RGB (H, W, 3)."""
    grey = cv2.cvtColor(cv2.GaussianBlur(frame, (3, 3), 0), cv2.COLOR_RGB2GRAY)
    return float(cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S, ksize=3)).mean())


def sharpest(scores: Sequence[float], times: Sequence[float], start: float, end: float, count: int = PER_CLIP) -> list[int]:
    """Indices of up to `count` frames of a clip from `start` to `end` (seconds), rising.

    The clip has `count` windows with equal gaps between their centres; of each the frame of the highest score times a cosine that is
    1 at the centre and 0 at the edges. A window without a frame takes the one nearest to its centre that is not taken, so that clips
    of a few frames have an answer too.
    """
    if len(times) <= count:
        return list(range(len(times)))
    gap = (end - start) / (count + 1)
    chosen: set[int] = set()
    for window in range(1, count + 1):
        offsets = [time - (start + window * gap) for time in times]
        inside = [index for index, offset in enumerate(offsets) if -gap / 2 < offset < gap / 2]
        weighted = {index: scores[index] * math.cos(math.pi * offsets[index] / gap) for index in inside}
        if weighted:
            chosen.add(max(inside, key=lambda index: (weighted[index], -index)))
        else:
            chosen.add(
                min((index for index in range(len(offsets)) if index not in chosen), key=lambda index: abs(offsets[index]))
            )
    return sorted(chosen)
