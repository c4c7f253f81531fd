"""Counted, not believed: times, damage, truncation, and every real clip."""

import random
from itertools import pairwise
from pathlib import Path

import pytest

from vtalign.errors import VideoError
from vtalign.ids import file_hash, stable_id
from vtalign.video.limits import DecodeLimits
from vtalign.video.pixels import Fit, Sketch
from vtalign.video.probe import VideoInfo, probe, probe_reading, survey
from vtalign.video.readers import WantedFrames, read_frames, read_sets

from .conftest import KINDS
from .numbered_clips import number_of

LIMITS = DecodeLimits()


def test_what_is_told(clips: dict[str, Path]) -> None:
    path = clips["closed_gop.mp4"]
    info = probe(path, LIMITS)
    assert info.video_id == stable_id("video", file_hash(path))
    assert (info.width, info.height, info.rotation, info.codec) == (96, 64, 0, "h264")
    assert (info.frames, info.container_frames, info.warnings) == (60, 60, ())
    assert info.times == tuple(pytest.approx(i / 10) for i in range(60))
    assert (info.duration, info.fps) == (pytest.approx(6.0), pytest.approx(10.0))
    assert VideoInfo.from_dict(info.to_dict()) == info


def test_true_times_of_a_variable_rate(clips: dict[str, Path]) -> None:
    assert probe(clips["vfr.mp4"], LIMITS).times == pytest.approx(KINDS["vfr.mp4"]["times"], abs=1e-3)


def test_times_that_do_not_rise_are_a_warning(clips: dict[str, Path]) -> None:
    info = probe(clips["h264.avi"], LIMITS)
    assert "do not rise" in info.warnings[0]
    assert all(b > a for a, b in pairwise(info.times)) and info.duration == pytest.approx(6.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_refused_or_right_as_far_as_it_goes(clips: dict[str, Path], tmp_path: Path, kind: str) -> None:
    whole, path = clips[kind].read_bytes(), tmp_path / kind
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        path.write_bytes(whole[: int(len(whole) * share)])
        try:
            info = probe(path, LIMITS)
        except VideoError:
            continue
        # What states no length is whole wherever it ends; the others may have lost an index, or a frame within rounding.
        assert kind in ("h264.ts", "mpeg2.mpg", "fragmented.mp4") or info.frames >= 59, f"cut to {share}: {info.frames} frames"
        read = read_frames(path, list(range(info.frames)), None, LIMITS)
        assert [number_of(frame) for frame in read] == [_number_at(kind, time) for time in info.times]


@pytest.mark.parametrize("kind", ["open_gop.mkv", "vp9.webm"])
def test_a_truncated_long_file_is_refused_too(clips: dict[str, Path], tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    path.write_bytes(clips[kind].read_bytes()[: clips[kind].stat().st_size // 2])
    with pytest.raises(VideoError) as raised:
        probe(path, DecodeLimits(seek_beyond_s=0.5))
    assert raised.value.reason in ("truncated", "corrupt")


@pytest.mark.parametrize("kind", KINDS)
def test_damage_costs_a_video_error_at_most(clips: dict[str, Path], tmp_path: Path, kind: str) -> None:
    rng, path = random.Random(kind), tmp_path / kind
    for _ in range(12):
        data = bytearray(clips[kind].read_bytes())
        for _ in range(rng.choice((1, 20))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            info = probe(path, LIMITS)
            read_frames(path, [0, info.frames - 1] if info.frames > 1 else [0], (32, 32), LIMITS)
        except VideoError as error:
            assert error.reason and error.detail


def test_a_frame_count_that_lies_is_a_warning(shared_data: Path) -> None:
    info = probe(shared_data / "clips" / "deb_tree.avi", LIMITS)
    assert (info.frames, info.container_frames) == (68, 444)
    assert info.warnings == ("container states 444 frames, 68 were decoded",)


def test_every_real_clip_reads_or_says_why_not(shared_data: Path) -> None:
    refused = {}
    for path in sorted((shared_data / "clips").iterdir()):
        try:
            info = probe(path, LIMITS)
        except VideoError as error:
            refused[path.name] = error.reason
            continue
        assert len(info.times) == info.frames and all(b > a for a, b in pairwise(info.times))
        frames = read_frames(path, sorted({0, info.frames // 2, info.frames - 1}), None, LIMITS)
        assert frames.shape[1:] == (info.height, info.width, 3)
    assert refused == {"decord_corrupted.mp4": "corrupt", "manifest.json": "not_a_video"}


def _number_at(kind: str, time: float) -> int:
    """The number of the frame that the whole clip shows at `time`."""
    times = KINDS[kind].get("times") or [i / KINDS[kind].get("rate", 10) for i in range(60)]
    return min(range(60), key=lambda i: abs(times[i] - time))


@pytest.mark.parametrize("kind", KINDS)
def test_one_pass_probes_and_reads(clips: dict[str, Path], kind: str) -> None:
    sets = [WantedFrames([0, 7, 8, 59], Sketch(24, 16)), WantedFrames([3, 8, 30], Fit(1024, 8))]
    info, frames = probe_reading(clips[kind], sets, LIMITS)
    assert info == probe(clips[kind], LIMITS)
    for found, right in zip(frames, read_sets(clips[kind], sets, LIMITS), strict=True):
        assert found.shape == right.shape and (found == right).all()


def test_one_pass_gives_no_frames_of_a_video_that_has_fewer(clips: dict[str, Path]) -> None:
    sets = [WantedFrames([0, 1], None), WantedFrames([59, 60], None)]
    assert probe_reading(clips["vp9.webm"], sets, LIMITS) == (probe(clips["vp9.webm"], LIMITS), [])


@pytest.mark.parametrize("kind", KINDS)
def test_packets_tell_what_a_probe_finds(clips: dict[str, Path], kind: str) -> None:
    guess = survey(clips[kind], LIMITS)
    # packets of B frames in an AVI have times that frames have not
    assert (guess == probe(clips[kind], LIMITS)) == (kind != "h264.avi")


def test_packets_of_a_long_video_are_all_that_a_probe_reads(clips: dict[str, Path]) -> None:
    assert survey(clips["vp9.webm"], DecodeLimits(seek_beyond_s=1)) is None


def test_a_turned_video_is_surveyed_upright(shared_data: Path) -> None:
    path = shared_data / "clips" / "decord_rot90.mov"
    assert survey(path, LIMITS) == probe(path, LIMITS)
