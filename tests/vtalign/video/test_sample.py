"""Frame policies: which frames, at which true times, how large."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vtalign.video.probe import VideoInfo
from vtalign.video.sample import FramePolicy, frame_size, sample


def info_of(times: Sequence[float], last: float) -> VideoInfo:
    return VideoInfo("video-x", 96, 64, 0, "h264", None, len(times), tuple(times), times[-1] + last, "pass")


def constant(frames: int, fps: float) -> VideoInfo:
    return info_of([i / fps for i in range(frames)], 1 / fps)


def test_by_fps_takes_the_frame_nearest_to_each_tick_and_its_true_time() -> None:
    view = sample(constant(16, 8), FramePolicy(fps=2))
    assert [(s.frame, s.time) for s in view.slots] == [(0, 0.0), (4, 0.5), (8, 1.0), (12, 1.5)]
    assert view.fps == 2

    ntsc = sample(constant(60, 30000 / 1001), FramePolicy(fps=2))
    assert [s.frame for s in ntsc.slots] == [0, 15, 30, 45]
    assert ntsc.slots[1].time == 0.5005


def test_a_long_video_is_spread_from_its_first_to_its_last_frame() -> None:
    view = sample(constant(1001, 10), FramePolicy(fps=2, max_frames=11))
    assert [s.frame for s in view.slots] == list(range(0, 1001, 100))
    assert view.fps == 0.1


def test_by_count_is_exact_whatever_the_length() -> None:
    assert [s.frame for s in sample(constant(9, 4), FramePolicy(count=5)).slots] == [0, 2, 4, 6, 8]
    assert [s.frame for s in sample(constant(9, 4), FramePolicy(count=1)).slots] == [4]
    assert [s.frame for s in sample(constant(2, 4), FramePolicy(count=4)).slots] == [0, 0, 1, 1]
    assert len(sample(constant(3, 4), FramePolicy(count=100, max_frames=8)).slots) == 100


def test_a_slow_video_gives_each_frame_once_and_a_single_frame_is_held() -> None:
    assert [s.frame for s in sample(constant(5, 1), FramePolicy(fps=2)).slots] == [0, 1, 2, 3, 4]
    still = sample(constant(1, 2), FramePolicy(min_frames=2))
    assert [s.frame for s in still.slots] == [0, 0]
    assert still.slots[0].time < still.slots[1].time


def test_a_clock_that_jumps_by_years_still_has_a_rate() -> None:
    """A recorder that starts at 0 and goes on with the time of day."""
    view = sample(info_of([0.0, *(1.7e9 + i / 10 for i in range(100))], 0.1), FramePolicy(fps=2))
    assert view.fps > 0 and len(view) == 64


def test_a_held_still_is_shown_for_as_long_as_it_lasts_and_not_before_its_time() -> None:
    slideshow = info_of([0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6, 5.7, 5.8], 0.1)
    view = sample(slideshow, FramePolicy(fps=1))
    assert [(s.frame, s.time) for s in view.slots] == [(0, 0.0), (2, 0.2), (2, 2.0), (2, 3.0), (2, 4.0), (3, 5.0)]


@given(
    gaps=st.lists(st.floats(0.001, 3.0), min_size=1, max_size=60),
    fps=st.floats(0.2, 30),
    count=st.none() | st.integers(1, 40),
    max_frames=st.integers(2, 40),
)
def test_laws(gaps: list[float], fps: float, count: int | None, max_frames: int) -> None:
    times = [0.0]
    for gap in gaps[:-1]:
        times.append(times[-1] + gap)
    policy = FramePolicy(fps=fps, count=count, max_frames=max_frames)
    view = sample(info_of(times, gaps[-1]), policy)
    frames = [s.frame for s in view.slots]
    assert len(view) == count if count else policy.min_frames <= len(view) <= max_frames
    assert all(f is not None and 0 <= f < len(times) for f in frames)
    assert all(a.frame <= b.frame and a.time < b.time for a, b in pairwise(view.slots))
    for before, slot in pairwise(view.slots):
        held = before.frame == slot.frame
        assert slot.time > times[slot.frame] - 1e-6 if held else slot.time == round(times[slot.frame], 6)
    assert sample(info_of(times, gaps[-1]), policy) == view


@given(
    width=st.integers(1, 9000),
    height=st.integers(1, 9000),
    multiple=st.sampled_from([1, 14, 16, 28, 32]),
    room=st.integers(1, 400),
)
def test_sizes_fit(width: int, height: int, multiple: int, room: int) -> None:
    policy = FramePolicy(max_pixels=multiple**2 * room, multiple=multiple)
    w, h = frame_size(width, height, policy)
    assert w % multiple == h % multiple == 0
    assert w > 0 and h > 0 and w * h <= policy.max_pixels
    assert w <= max(multiple, width + multiple / 2) and h <= max(multiple, height + multiple / 2)
    assert frame_size(height, width, policy) == (h, w)


def test_sizes_by_hand() -> None:
    assert frame_size(96, 96, FramePolicy(max_pixels=2304, multiple=16)) == (48, 48)
    assert frame_size(1280, 720, FramePolicy()) == (504, 280)
    assert frame_size(2, 2, FramePolicy()) == (28, 28)


def test_a_size_of_its_own_is_height_and_width() -> None:
    policy = FramePolicy(size=(224, 336))
    assert frame_size(1280, 720, policy) == frame_size(2, 2, policy) == (336, 224)


def test_a_policy_written_before_there_was_a_size() -> None:
    data = {"fps": 2.0, "max_frames": 64, "count": None, "min_frames": 2, "max_pixels": 2304, "multiple": 16}
    policy = FramePolicy.model_validate(data)
    assert policy == FramePolicy(max_pixels=2304, multiple=16) and policy.size is None
    assert FramePolicy.model_validate_json(FramePolicy(size=(32, 64)).model_dump_json()).size == (32, 64)


@pytest.mark.parametrize(
    "bad",
    [
        {"min_frames": 9, "max_frames": 8},
        {"max_pixels": 100, "multiple": 28},
        {"fps": 0},
        {"size": (0, 28)},
        {"size": (448, 448)},
    ],
)
def test_impossible_policies_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FramePolicy(**bad)
