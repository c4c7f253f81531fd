"""From a decoded frame to upright, resized RGB."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from vtalign.video.container import quarter_turns
from vtalign.video.sample import fitted_size


@dataclass(frozen=True, slots=True)
class Fit:
    """A size that follows from the video's own: see `sample.frame_size`."""

    max_pixels: int
    multiple: int


TargetSize = tuple[int, int] | Fit | None
"""(width, height) in pixels, a rule, or None for the video's own size."""


def target_size(width: int, height: int, size: TargetSize) -> tuple[int, int]:
    """(width, height) in pixels that a frame of the displayed `width` x `height` is resized to."""
    if isinstance(size, Fit):
        return fitted_size(width, height, size.max_pixels, size.multiple)
    return size or (width, height)


def resized(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 (height, width, 3); area averaging, so that thin and fast things do not flicker."""
    if rgb.shape[:2] == (height, width):
        return rgb
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)


class FramePixels:
    """Converts the frames of one video, each to one or several sizes. Holds one reformatter: making one per frame costs more than
    the conversion."""

    def __init__(self, sizes: Sequence[TargetSize]) -> None:
        self._sizes, self._reformatter = tuple(sizes), VideoReformatter()
        self._shown: dict[int, tuple[int, int]] = {}

    def rgb(self, frame: VideoFrame, wanted: Sequence[int]) -> list[np.ndarray]:
        """uint8 (H, W, 3) in each of the `wanted` sizes (their numbers), the rotation tag applied.

        All frames of a size get the height and width that its first one leads to.
        """
        turns = quarter_turns(frame)
        rgb = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        found = []
        for number in wanted:
            if number not in self._shown:
                sides = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
                self._shown[number] = target_size(*sides, self._sizes[number])
            width, height = self._shown[number]
            stored = (height, width) if turns % 2 else (width, height)
            found.append(np.rot90(resized(rgb, *stored), turns))
        return found
