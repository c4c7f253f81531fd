from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.segments import check_segments
from vtalign.video.view import Slot, VideoView
from vtalign_data.clips import make_clips, scene_clips, segments_of, shot_clips, told_clip, uniform_clips
from vtalign_data.config import ClipConfig
from vtalign_data.shots import Broken

CONFIG = ClipConfig()


def make_view(frames: list[int], fps: float = 2.0) -> VideoView:
    return VideoView(tuple(Slot("video-0", frame, k / fps) for k, frame in enumerate(frames)), fps)


def row_of(view: VideoView) -> dict[str, Any]:
    return {"video": "a.mp4", "video_id": "video-0", "view_id": view.view_id, "view": view.to_json(), "sampling": "{}"}


def shot_rows(scenes: str, frames: int = 8, dropped: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """Shots of `frames` frames at 4 frames a second, each of the scene that its letter names; some were dropped by a rule."""
    return [
        {
            "number": number,
            "first": number * frames,
            "stop": (number + 1) * frames,
            "start": number * frames / 4,
            "end": (number + 1) * frames / 4,
            "embedding": np.eye(9)["ABCDEFGHI".index(scene)].tolist(),
            "frames": list(range(number * frames, (number + 1) * frames)),
            "sharpness": [float(k % 3) for k in range(frames)],
        }
        for number, scene in enumerate(scenes)
        if number not in dropped
    ]


def test_uniform_clips_of_two_seconds() -> None:
    assert uniform_clips(make_view(list(range(16))), ClipConfig(method="uniform")) == ((0, 4), (4, 8), (8, 12), (12, 16))
    assert uniform_clips(make_view(list(range(9))), ClipConfig(method="uniform")) == ((0, 4), (4, 9))  # one slot is no clip
    assert uniform_clips(make_view(list(range(7)), fps=1.5), ClipConfig(method="uniform", seconds=2)) == ((0, 3), (3, 7))


def test_a_scene_begins_at_the_first_slot_that_shows_it() -> None:
    view = make_view([0, 4, 8, 12, 16, 20])
    assert scene_clips(view, [9], CONFIG) == ((0, 3), (3, 6))
    assert scene_clips(view, [8, 16], CONFIG) == ((0, 2), (2, 4), (4, 6))
    assert scene_clips(view, [], CONFIG) == ((0, 6),)
    assert scene_clips(view, [99], CONFIG) == ((0, 6),)  # beyond the last slot


@given(st.integers(2, 40), st.lists(st.integers(0, 200), max_size=12), st.integers(1, 4))
def test_clips_cover_the_view_and_none_is_too_short(length: int, cuts: list[int], min_slots: int) -> None:
    config = ClipConfig(min_slots=min_slots)
    view = make_view([4 * k for k in range(length)])
    segments = check_segments(scene_clips(view, cuts, config), length)
    if len(segments) > 1:
        assert min(stop - start for start, stop in segments) >= min_slots


@given(st.integers(2, 60), st.floats(0.2, 8), st.floats(0.3, 9))
def test_uniform_clips_cover_the_view(length: int, fps: float, seconds: float) -> None:
    config = ClipConfig(method="uniform", seconds=seconds)
    check_segments(uniform_clips(make_view(list(range(length)), fps), config), length)


def test_each_shot_is_a_clip_and_neighbours_that_look_alike_are_one() -> None:
    view = make_view(list(range(0, 40, 2)))  # 4 slots a shot
    assert shot_clips(view, shot_rows("ABCDE"), CONFIG) == ((0, 4), (4, 8), (8, 12), (12, 16), (16, 20))
    assert shot_clips(view, shot_rows("ABBCD"), CONFIG) == ((0, 4), (4, 12), (12, 16), (16, 20))
    nothing_merged = ClipConfig(groups={"threshold": 1})
    assert shot_clips(view, shot_rows("ABBCD"), nothing_merged) == shot_clips(view, shot_rows("ABCDE"), CONFIG)


def test_a_dropped_shot_stays_with_the_clip_before_it() -> None:
    """Groups speak of the shots that were kept (their indices are not those of the cuts)."""
    view = make_view(list(range(0, 48, 2)))
    assert shot_clips(view, shot_rows("ABCCDE", dropped=(1,)), CONFIG) == ((0, 8), (8, 16), (16, 20), (20, 24))
    assert shot_clips(view, shot_rows("ABCDE", dropped=(0,)), CONFIG) == ((0, 8), (8, 12), (12, 16), (16, 24))


@pytest.mark.parametrize(
    ("scenes", "changes", "reason"),
    [
        ("ABC", {}, "too_few_shots"),
        ("ABCD", {"shots": {"max_seconds": 1.5}}, "shot_too_long"),
        ("AABC", {}, "too_few_groups"),
        ("ABACA", {}, "group_share"),
        ("ABCDE", {"max_clips": 4}, "too_many_clips"),
        ("ABCD", {"min_slots": 12}, "too_few_clips"),
    ],
)
def test_the_first_rule_that_a_video_breaks_is_its_reason(scenes: str, changes: dict[str, Any], reason: str) -> None:
    view = make_view(list(range(0, 8 * len(scenes), 2)))
    config, shots = ClipConfig.model_validate(changes), {"video-0": shot_rows(scenes)}
    broken = shot_clips(view, shots["video-0"], config)
    assert isinstance(broken, Broken) and broken.reason == reason
    result = make_clips([row_of(view)], shots, config, or_uniform=False)
    assert [(loss.id, loss.outcome, loss.reason) for loss in result.rejected] == [
        ("a.mp4", "filtered", reason)
    ] and not result.rows


def test_clips_by_the_clock_where_shots_break_a_rule_and_the_signal_needs_none() -> None:
    view = make_view(list(range(0, 48, 2)))
    config = ClipConfig(seconds=4)
    [row] = make_clips([row_of(view)], {}, config, or_uniform=True).rows
    assert segments_of(row) == ((0, 8), (8, 16), (16, 24)) and row["key_frames"] is None
    [row] = make_clips([row_of(view)], {"video-0": shot_rows("ABCDEF")}, config, or_uniform=True).rows
    assert len(segments_of(row)) == 6
    short = make_view([0, 2, 4])
    [loss] = make_clips([row_of(short)], {}, config, or_uniform=True).rejected
    assert loss.reason == "too_few_clips"


def test_captions_can_be_asked_of_the_sharpest_frames() -> None:
    view = make_view(list(range(0, 32)), fps=4.0)  # 8 slots a shot, sharpness 0 1 2 0 1 2 0 1
    [row] = make_clips([row_of(view)], {"video-0": shot_rows("ABCD")}, ClipConfig(frames="sharpest"), or_uniform=False).rows
    assert row["key_frames"] == [2, 5, 10, 13, 18, 21, 26, 29]
    clip = told_clip(view.clip(8, 16), row)
    assert [(slot.frame, slot.time) for slot in clip.slots] == [(10, 0.5), (13, 1.25)] and clip.fps == 4.0
    backwards = perturb(view, PerturbationSpec(name="reverse", strength=1, frames="reversed"), segments=segments_of(row), seed=0)
    assert [slot.frame for slot in told_clip(backwards.view.clip(0, 8), row).slots] == [29, 26]
    other = VideoView(tuple(Slot("another", slot.frame, slot.time) for slot in view.slots), view.fps)
    assert told_clip(other.clip(0, 8), row) == other.clip(0, 8)
    assert told_clip(view.clip(0, 2), {**row, "key_frames": None}) == view.clip(0, 2)
