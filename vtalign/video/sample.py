"""Which frames of a video are shown, and how large: `FramePolicy` and the views it makes."""

import math
from bisect import bisect_right
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from vtalign.config import Config
from vtalign.video.view import Slot, VideoView

if TYPE_CHECKING:
    from vtalign.video.probe import VideoInfo


class FramePolicy(Config):
    """How frames are taken from a video. Stored with every result, because numbers change with it."""

    fps: float = Field(2.0, gt=0, description="frames per second of video, where `count` is not given")
    max_frames: int = Field(64, ge=1, description="more than this many are spread evenly over the video instead")
    count: int | None = Field(None, ge=1, description="exactly so many frames, evenly spread, instead of `fps`")
    min_frames: int = Field(2, ge=1, description="a shorter video holds frames until there are so many")
    max_pixels: int = Field(147456, ge=1, description="upper bound on height x width of a frame after resizing")
    multiple: int = Field(28, ge=1, description="height and width after resizing are multiples of this")
    size: tuple[int, int] | None = Field(
        None, description="exactly this (height, width) after resizing, for models that read no other; the aspect is not kept"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames {self.min_frames} is above max_frames {self.max_frames}")
        if self.max_pixels < self.multiple**2:
            raise ValueError(f"max_pixels {self.max_pixels} leaves no room for one {self.multiple}x{self.multiple} tile")
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size {list(self.size)}: height and width are at least 1")
        if self.size is not None and self.size[0] * self.size[1] > self.max_pixels:
            raise ValueError(f"size {list(self.size)} needs max_pixels of at least {self.size[0] * self.size[1]}")
        return self


def frame_size(width: int, height: int, policy: FramePolicy) -> tuple[int, int]:
    """(width, height) in pixels of the resized frames: never enlarged but to fill one tile; aspect kept nearly.

    Where the policy names a `size` it is that one.
    """
    if policy.size is not None:
        return policy.size[1], policy.size[0]
    return fitted_size(width, height, policy.max_pixels, policy.multiple)


def fitted_size(width: int, height: int, max_pixels: int, multiple: int) -> tuple[int, int]:
    """The arithmetic of `frame_size` on plain numbers."""
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    sizes = [max(multiple, round(side * scale / multiple) * multiple) for side in (width, height)]
    if sizes[0] * sizes[1] > max_pixels:
        sizes = [max(multiple, math.floor(side * scale / multiple) * multiple) for side in (width, height)]
    if sizes[0] * sizes[1] > max_pixels:  # a side below one tile was lifted to it: the long side pays
        long = 0 if sizes[0] > sizes[1] else 1
        sizes[long] = max_pixels // sizes[1 - long] // multiple * multiple
    return sizes[0], sizes[1]


def sample(info: "VideoInfo", policy: FramePolicy) -> VideoView:
    """The clean view of a video. `slot.time` is the true presentation time (seconds) of the slot's frame.

    By fps, slots lie at k / fps from the first frame on. By count, and where fps would give more than `max_frames`, fewer than
    `min_frames` or more than the video has, they are spread evenly, both ends included. A slot shows the frame that is on
    screen at its time; where a frame is held for several slots, the later ones carry the time at which they look.
    """
    times = info.times
    wanted = policy.count or max(1, round(info.duration * policy.fps))
    n = wanted if policy.count else max(policy.min_frames, min(wanted, policy.max_frames, len(times)))
    if policy.count is None and n == wanted:
        step, targets = 1 / policy.fps, [k / policy.fps for k in range(n)]
    elif n == 1:
        step, targets = max(info.duration, 1e-3), [times[-1] / 2]
    else:
        # More slots than frames: hold each for as long as it is on screen; otherwise both ends are shown.
        step = info.duration / n if n > len(times) else times[-1] / (n - 1)
        targets = [k * step for k in range(n)]
    return VideoView(_slots(info, targets, step), max(round(1 / step, 6), 1e-6))  # a clock may jump by years


def _slots(info: "VideoInfo", targets: list[float], step: float) -> tuple[Slot, ...]:
    """Slots for rising target times (seconds); times of the slots rise strictly."""
    times = info.times
    # Half a frame of tolerance makes "on screen" the nearest frame at a constant rate, where targets fall a hair before a frame;
    # after a long still the next frame is not shown before its time.
    interval = median(b - a for a, b in pairwise(times)) if len(times) > 1 else 0.0
    tolerance = min(interval, step) / 2
    slots: list[Slot] = []
    for target in targets:
        frame = max(0, bisect_right(times, target + tolerance) - 1)
        held = bool(slots) and slots[-1].frame == frame
        slots.append(Slot(info.video_id, frame, round(target if held else times[frame], 6)))
    return tuple(slots)
