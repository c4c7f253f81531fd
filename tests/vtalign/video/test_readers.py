"""The right frames, by the number that each carries: any codec, any order of asking, one pass and seeks alike."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from vtalign.errors import InputError, VideoError
from vtalign.video.limits import DecodeLimits
from vtalign.video.pixels import Fit
from vtalign.video.probe import probe
from vtalign.video.readers import WantedFrames, read_frames, read_sets

from .conftest import KINDS
from .numbered_clips import number_of, write_resized

ONE_PASS = DecodeLimits()
SEEKS = DecodeLimits(seek_beyond_s=0.5)
SEEKABLE = sorted(KINDS.keys() - {"h264.avi", "mpeg2.mpg"})  # these two lack times to verify a seek by, and are read forward


def numbers(path: Path, indices: list[int], limits: DecodeLimits, reader: str = "pyav") -> list[int]:
    return [number_of(frame) for frame in read_frames(path, indices, None, limits, reader)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_pass_reads_every_frame_right(clips: dict[str, Path], kind: str) -> None:
    assert numbers(clips[kind], list(range(60)), ONE_PASS) == list(range(60))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("indices", [[0], [59], [1, 2, 11, 12, 13, 23, 24, 36, 47, 58], list(range(0, 60, 7)), list(range(60))])
def test_seeks_read_the_same_frames(clips: dict[str, Path], kind: str, indices: list[int]) -> None:
    assert numbers(clips[kind], indices, SEEKS) == indices


def test_a_keyframe_that_decoding_cannot_begin_at_is_no_damage(shared_data: Path) -> None:
    """Frame 76 of this clip is an I frame that the container calls a keyframe; the decoder marks all that follows a seek to it."""
    clip = shared_data / "clips" / "imageio_cockatoo.mp4"
    size = (128, 72)
    assert probe(clip, SEEKS).access == "seek"
    assert (read_frames(clip, [100, 150], size, SEEKS) == read_frames(clip, [100, 150], size, ONE_PASS)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_which_way_was_used_is_recorded_and_tells_the_same(clips: dict[str, Path], kind: str) -> None:
    forward, sought = probe(clips[kind], ONE_PASS), probe(clips[kind], SEEKS)
    assert forward.access == "pass"
    assert sought.access == ("seek" if kind in SEEKABLE else "pass")
    assert (sought.frames, sought.times, sought.duration) == (forward.frames, forward.times, forward.duration)


def test_opencv_reads_ordinary_files_right(clips: dict[str, Path]) -> None:
    assert numbers(clips["closed_gop.mp4"], [0, 7, 31, 59], ONE_PASS, "opencv") == [0, 7, 31, 59]


@pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord is not installed (x86-64 only)")
def test_decord_reads_ordinary_files_right(clips: dict[str, Path]) -> None:
    assert numbers(clips["closed_gop.mp4"], [0, 7, 31, 59], ONE_PASS, "decord") == [0, 7, 31, 59]


def test_sizes(clips: dict[str, Path]) -> None:
    path = clips["closed_gop.mp4"]
    assert read_frames(path, [3], (48, 32), ONE_PASS).shape == (1, 32, 48, 3)
    assert read_frames(path, [3, 4], Fit(1024, 16), ONE_PASS).shape == (2, 32, 32, 3)
    assert number_of(read_frames(path, [37], (48, 32), ONE_PASS)[0]) == 37


@pytest.mark.parametrize(("reader", "limits"), [("pyav", ONE_PASS), ("pyav", SEEKS), ("opencv", ONE_PASS)])
def test_sets_of_one_pass_are_those_of_a_pass_each(clips: dict[str, Path], reader: str, limits: DecodeLimits) -> None:
    path = clips["open_gop.mp4"]
    sets = [WantedFrames(range(0, 60, 3), (16, 24)), WantedFrames([2, 3, 30], None), WantedFrames([59], Fit(1024, 16))]
    together = read_sets(path, sets, limits, reader)
    for found, (indices, size) in zip(together, sets, strict=True):
        assert (found == read_frames(path, indices, size, limits, reader)).all()
    with pytest.raises(VideoError, match="frame 60 is beyond"):
        read_sets(path, [WantedFrames([5], None), WantedFrames([5, 60], None)], limits, reader)


@pytest.mark.parametrize("reader", ["pyav", "opencv"])
def test_a_frame_beyond_the_last_is_an_error(clips: dict[str, Path], reader: str) -> None:
    with pytest.raises(VideoError, match="frame 60") as raised:
        read_frames(clips["closed_gop.mp4"], [5, 60], None, ONE_PASS, reader)
    assert raised.value.reason == "frame_missing"
    with pytest.raises(VideoError, match="frame 60"):
        read_frames(clips["closed_gop.mp4"], [5, 60], None, SEEKS)


def test_the_first_frame_of_a_video_decides_the_size_of_all_whichever_are_read(tmp_path: Path) -> None:
    path = write_resized(tmp_path / "resized.ts", [((96, 64), 4), ((64, 96), 20)])
    assert probe(path, ONE_PASS).warnings == ("frames come in 2 sizes; all are resized like the first",)
    size = Fit(max_pixels=48 * 32, multiple=16)
    shapes = {read_frames(path, indices, size, ONE_PASS)[0].shape for indices in ([0], [2, 9], [9], [15])}
    assert shapes == {(32, 48, 3)}


@pytest.mark.parametrize("indices", [[], [3, 3], [5, 4], [-1, 2]])
def test_only_rising_indices_are_asked_of_a_reader(clips: dict[str, Path], indices: list[int]) -> None:
    with pytest.raises(ValueError, match="rising"):
        read_frames(clips["closed_gop.mp4"], indices, None, ONE_PASS)


def test_an_unknown_reader_is_named(clips: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="reader 'vlc': unknown"):
        read_frames(clips["closed_gop.mp4"], [0], None, ONE_PASS, "vlc")


def test_rotation_is_applied_as_other_readers_do(shared_data: Path) -> None:
    path = shared_data / "clips" / "decord_rot90.mov"
    mine, theirs = (read_frames(path, [0, 2], None, ONE_PASS, reader) for reader in ("pyav", "opencv"))
    assert mine.shape == (2, 568, 320, 3)
    assert np.abs(mine.astype(int) - theirs.astype(int)).mean() < 2
    info = probe(path, ONE_PASS)
    assert (info.width, info.height, info.rotation) == (320, 568, 270)
