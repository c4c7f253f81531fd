"""Shots: what lies between two cuts, and TEMPLE's rules on it (lscpku/TEMPLE, preprocess.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vtalign_data.video_selection_config import ShotConfig

SHOT_RULES = ("shot_too_short", "low_contrast")
"""Reasons for which a shot is dropped, in the order in which they are looked at."""

COUNT_RULES = ("too_few_shots", "too_many_shots", "shot_too_long")
"""Reasons for which a video is filtered by its shots, in order."""


@dataclass(frozen=True)
class Broken:
    """The rule that something breaks: a short stable reason to count by, and a detail for people."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Shot:
    """Frames `first:stop` (decoded ordinals) on screen from `start` to `end` seconds; `number` counts the shots of the video."""

    number: int
    first: int
    stop: int
    start: float
    end: float
    grey_range: int

    @property
    def seconds(self) -> float:
        return self.end - self.start


def shots_between(
    cuts: Sequence[int], times: Sequence[float], duration: float, frames: NDArray[np.uint8], ordinals: Sequence[int]
) -> list[Shot]:
    """All shots of a video. `cuts`: ordinals of first frames of shots (0 may be left out); `times`: of every frame, seconds;
    `frames` uint8 RGB (N, H, W, 3) are those that were looked at, `ordinals` (N) their place in the file, rising.
    """
    edges = [*sorted({0, *cuts}), len(times)]
    grey = [_grey_bounds(frame) for frame in frames]
    shots = []
    for number, (first, stop) in enumerate(pairwise(edges)):
        inside = [bounds for bounds, ordinal in zip(grey, ordinals, strict=True) if first <= ordinal < stop]
        grey_range = max((high for _, high in inside), default=0) - min((low for low, _ in inside), default=0)
        end = times[stop] if stop < len(times) else max(duration, times[-1])
        shots.append(Shot(number, first, stop, times[first], end, grey_range))
    return shots


def middle(shot: Shot, ordinals: Sequence[int], times: Sequence[float]) -> int:
    """Which of the frames looked at (as an index of `ordinals`) is nearest to the middle of the shot; one inside where there is one."""
    centre = (shot.start + shot.end) / 2

    def distance(index: int) -> tuple[bool, float]:
        return not shot.first <= ordinals[index] < shot.stop, abs(times[ordinals[index]] - centre)

    return min(range(len(ordinals)), key=distance)


def shot_rule(shot: Shot, config: ShotConfig) -> Broken | None:
    """Which rule says that this shot is no clip."""
    where = f"from {shot.start:.2f} s on"
    # a hair of tolerance: times are rounded
    if shot.seconds < config.min_seconds - 1e-6:
        return Broken("shot_too_short", f"{shot.seconds:.2f} s {where}, clips.shots.min_seconds is {config.min_seconds:g}")
    if shot.grey_range < config.min_grey_range:
        return Broken(
            "low_contrast", f"grey range {shot.grey_range} {where}, clips.shots.min_grey_range is {config.min_grey_range}"
        )
    return None


def count_rule(seconds: Sequence[float], config: ShotConfig) -> Broken | None:
    """Which rule says that a video with shots of these lengths (those that were not dropped) is not used."""
    if len(seconds) < config.min_count:
        return Broken("too_few_shots", f"{len(seconds)} shot(s), clips.shots.min_count is {config.min_count}")
    if len(seconds) > config.max_count:
        return Broken("too_many_shots", f"{len(seconds)} shots, clips.shots.max_count is {config.max_count}")
    if max(seconds) > config.max_seconds + 1e-6:
        return Broken("shot_too_long", f"a shot of {max(seconds):.1f} s, clips.shots.max_seconds is {config.max_seconds:g}")
    return None


def _grey_bounds(frame: NDArray[np.uint8]) -> tuple[int, int]:
    low, high, _, _ = cv2.minMaxLoc(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    return int(low), int(high)
