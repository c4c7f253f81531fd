import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.video.isolated import DecodeLimits, DecodeWorkers
from vtalign.video.sample import FramePolicy, sample
from vtalign.video.segments import check_segments
from vtalign.video.view import Slot, VideoView
from vtalign_data.clips import find_cuts, make_clips, scene_clips, segments_of, uniform_clips
from vtalign_data.config import ClipConfig
from vtalign_data.synth.render import write_mp4

CONFIG = ClipConfig()


def make_view(frames: list[int], fps: float = 2.0) -> VideoView:
    return VideoView(tuple(Slot("video-0", frame, k / fps) for k, frame in enumerate(frames)), fps)


def scenes(*lengths: int, side: int = 64) -> np.ndarray:
    """Frames of plainly different pictures, each with something that moves, uint8 (N, side, side, 3)."""
    frames = []
    for number, length in enumerate(lengths):
        picture = np.random.default_rng(number).integers(0, 255, (4, 4, 3)).astype(np.uint8)
        picture = np.kron(picture, np.ones((side // 4, side // 4, 1), np.uint8))
        for k in range(length):
            frame = picture.copy()
            frame[10:20, k % 40 : k % 40 + 8] = 255
            frames.append(frame)
    return np.stack(frames)


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


def test_cuts_are_found_where_the_picture_changes() -> None:
    assert find_cuts(scenes(10, 7, 9), list(range(0, 52, 2)), CONFIG.threshold) == [20, 34]
    assert find_cuts(scenes(12), list(range(12)), CONFIG.threshold) == []
    assert find_cuts(scenes(1), [0], CONFIG.threshold) == []


@pytest.fixture(scope="module")
def workers():
    with DecodeWorkers(1, DecodeLimits(timeout_s=30)) as pool:
        yield pool


def test_real_files(tmp_path, workers) -> None:
    write_mp4(tmp_path / "cuts.mp4", scenes(16, 24, 16), fps=8)
    write_mp4(tmp_path / "one.mp4", scenes(24), fps=8)
    rows, infos = [], {}
    for name in ("cuts.mp4", "one.mp4"):
        info = workers.probe(tmp_path / name)
        view = sample(info, FramePolicy(multiple=16, max_pixels=2304))
        rows.append({"video": name, "video_id": info.video_id, "view_id": view.view_id, "view": view.to_json(), "sampling": "{}"})
        infos[info.video_id] = {**info.to_dict(), "video": name}
    result = make_clips(rows, infos, CONFIG, tmp_path, workers, "pyav")
    assert [segments_of(row) for row in result.rows] == [((0, 4), (4, 10), (10, 14))]
    assert [(loss.id, loss.outcome, loss.reason) for loss in result.rejected] == [("one.mp4", "filtered", "too_few_clips")]
    few = make_clips(rows, infos, ClipConfig(max_clips=2), tmp_path, workers, "pyav")
    assert sorted(loss.reason for loss in few.rejected) == ["too_few_clips", "too_many_clips"]


def test_a_file_that_is_gone_costs_its_line(tmp_path, workers) -> None:
    write_mp4(tmp_path / "a.mp4", scenes(8, 8), fps=8)
    info = workers.probe(tmp_path / "a.mp4")
    view = sample(info, FramePolicy())
    (tmp_path / "a.mp4").unlink()
    row = {"video": "a.mp4", "video_id": info.video_id, "view_id": view.view_id, "view": view.to_json(), "sampling": "{}"}
    result = make_clips([row], {info.video_id: {**info.to_dict(), "video": "a.mp4"}}, CONFIG, tmp_path, workers, "pyav")
    assert [(loss.id, loss.outcome) for loss in result.rejected] == [("a.mp4", "failed")] and not result.rows
