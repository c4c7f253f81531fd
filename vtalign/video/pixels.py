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


@dataclass(frozen=True, slots=True)
class Sketch:
    """A size for finding cuts and comparing pictures, not for models: FFmpeg's scaler makes it of the decoded picture at once, which
    costs a fraction of RGB in full size and area averaging, and differs from it by a few grey values."""

    width: int
    height: int


TargetSize = tuple[int, int] | Fit | Sketch | None
"""(width, height) in pixels, a rule, or None for the video's own size."""


def target_size(width: int, height: int, size: TargetSize) -> tuple[int, int]:
    """(width, height) in pixels that a frame of the displayed `width` x `height` is resized to."""
    if isinstance(size, Fit):
        return fitted_size(width, height, size.max_pixels, size.multiple)
    if isinstance(size, Sketch):
        return size.width, size.height
    return size or (width, height)


def resized(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 (height, width, 3); area averaging, so that thin and fast things do not flicker."""
    if rgb.shape[:2] == (height, width):
        return rgb
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)


class FramePixels:
    """Converts the frames of one video, each to one or several sizes. Holds a reformatter for each: making one per frame costs more
    than the conversion."""

    def __init__(self, sizes: Sequence[TargetSize]) -> None:
        self._sizes, self._whole = tuple(sizes), VideoReformatter()
        self._sketchers = {number: VideoReformatter() for number, size in enumerate(sizes) if isinstance(size, Sketch)}
        self._sides: tuple[int, int] | None = None

    def see(self, frame: VideoFrame) -> None:
        """Hear of a frame. The first one that is seen decides the height and width of all, whichever are wanted."""
        if self._sides is None:
            self._sides = (frame.height, frame.width) if quarter_turns(frame) % 2 else (frame.width, frame.height)

    def rgb(self, frame: VideoFrame, wanted: Sequence[int]) -> list[np.ndarray]:
        """uint8 (H, W, 3) in each of the `wanted` sizes (their numbers), the rotation tag applied."""
        self.see(frame)
        assert self._sides is not None
        turns = quarter_turns(frame)
        plain = any(number not in self._sketchers for number in wanted)
        rgb = self._whole.reformat(frame, format="rgb24", threads=1).to_ndarray() if plain else None
        found = []
        for number in wanted:
            width, height = target_size(*self._sides, self._sizes[number])
            stored = (height, width) if turns % 2 else (width, height)
            if number in self._sketchers:
                small = self._sketchers[number].reformat(frame, *stored, format="rgb24", interpolation="AREA", threads=1)
                found.append(np.rot90(small.to_ndarray(), turns))
            else:
                assert rgb is not None
                found.append(np.rot90(resized(rgb, *stored), turns))
        return found
