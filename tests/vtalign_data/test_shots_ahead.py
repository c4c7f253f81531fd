"""Ingest's pass takes along what later stages look at, and they find the same as if they had read it."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtalign.ids import video_id_of
from vtalign.video.frame_cache import FrameCache
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeLimits, DecodeWorkers, Probed
from vtalign.video.perturbation_spec import PerturbationSpec
from vtalign.video.sample import FramePolicy
from vtalign_data.config import BuildConfig, ClipConfig
from vtalign_data.embed import HistogramEncoder
from vtalign_data.ingest import ingest
from vtalign_data.ingest_config import IngestConfig
from vtalign_data.known_shots import KnownShots
from vtalign_data.run_frames import RunFrames, frames_shown
from vtalign_data.shot_pass import make_shots
from vtalign_data.shots_ahead import ShotsAhead, open_ahead, shots_ahead
from vtalign_data.stage import BatchResult, Row
from vtalign_data.synth.render import write_mp4
from vtalign_data.views import make_views

from ..vtalign.video.numbered_clips import write_numbered
from .test_shot_pass import FPS, video

POLICY = FramePolicy(multiple=16, max_pixels=2304)
SPECS = (PerturbationSpec(name="speed", strength=2, direction="slow"),)
SCENE_CLIPS = ClipConfig()
ASKED = {"file": "qa.jsonl", "columns": {"caption": "caption"}}


@pytest.fixture(scope="module")
def workers():
    with DecodeWorkers(1, DecodeLimits(timeout_s=30)) as pool:
        yield pool


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos that make clips, one of too few shots, one of a single frame, one cut off, and two of odd times."""
    folder = tmp_path_factory.mktemp("videos")
    for name, scenes in {"a": "ABCD", "b": "BCDEA", "one": "A"}.items():
        write_mp4(folder / f"{name}.mp4", np.stack(video(scenes)), fps=FPS)
    write_mp4(folder / "still.mp4", np.stack(video("A")[:1]), fps=FPS)
    (folder / "cut.mp4").write_bytes((folder / "a.mp4").read_bytes()[:-2000])
    write_numbered(folder / "h264.avi", options={"g": "12"})
    write_numbered(folder / "wobbles.mkv", times=[k / 10 + 0.03 * (k % 3) for k in range(80)])
    return folder


@dataclass
class Found:
    ingested: BatchResult
    shots: BatchResult | None
    passes: dict[str, int]
    cached: dict[str, dict[int, bytes]]


def found(videos: Path, folder: Path, workers: DecodeWorkers, clips: ClipConfig, take_along: bool, **rules: Any) -> Found:
    """Rows of ingest and shots, the passes of both, and what is in the frame cache after them."""
    before = workers.passes.copy()
    cache, known = FrameCache.for_policy(folder / "frames", "pyav", POLICY), KnownShots(folder / "shots")
    ahead = ShotsAhead(clips, SPECS, POLICY, False, cache, known) if take_along else None
    names = sorted(path.name for path in videos.iterdir())
    scanned: Any = [({"video": name, "video_id": video_id_of(videos / name), "bytes": 1}, []) for name in names]
    ingested = ingest(scanned, videos, workers, "pyav", IngestConfig(**rules), ahead=ahead)
    viewed = make_views(ingested.rows, POLICY, "pyav").rows
    shots = None
    if clips.method != "uniform":
        infos = {row["video_id"]: row for row in ingested.rows}
        paths = {video_id: row["video"] for video_id, row in infos.items()}
        shown = frames_shown(viewed, SPECS)
        with FrameStore(videos, paths, POLICY, workers=workers, cache=folder / "frames", shown=shown) as store:
            rows = [{**row, **infos[row["video_id"]]} for row in viewed]
            shots = make_shots(
                rows, clips, store, HistogramEncoder() if clips.groups.merges else None, known=known if take_along else None
            )
    cached = {name: pixels(cache, video_id_of(videos / name)) for name in names}
    return Found(ingested, shots, dict(workers.passes - before), {name: held for name, held in cached.items() if held})


def pixels(cache: FrameCache, video_id: str) -> dict[int, bytes]:
    return {index: frame.tobytes() for index, frame in cache.get(video_id, sorted(cache.held(video_id))).items()}


@pytest.mark.parametrize("clips", [SCENE_CLIPS, ClipConfig(frames="sharpest", groups={"threshold": 1})])
def test_one_pass_finds_what_two_find(videos: Path, tmp_path: Path, workers: DecodeWorkers, clips: ClipConfig) -> None:
    two = found(videos, tmp_path / "two", workers, clips, take_along=False)
    one = found(videos, tmp_path / "one", workers, clips, take_along=True)
    assert one.ingested == two.ingested and one.shots == two.shots
    assert [loss.id for loss in one.ingested.rejected] == ["cut.mp4"]
    assert one.cached == two.cached and sorted(one.cached) == ["a.mp4", "b.mp4"], "of the others nobody looks at the view again"
    assert two.passes == {"probe": 7, "read": 5}
    # the cut file and the still are probed only
    assert one.passes == {"survey": 7, "probe_reading": 5, "probe": 2}


def test_clips_by_the_clock_find_their_frames_in_the_cache(videos: Path, tmp_path: Path, workers: DecodeWorkers) -> None:
    clips = ClipConfig(method="uniform", seconds=2.5)
    plain = found(videos, tmp_path / "plain", workers, clips, take_along=False)
    along = found(videos, tmp_path / "along", workers, clips, take_along=True)
    assert along.ingested == plain.ingested and plain.cached == {} and not (tmp_path / "along" / "shots").exists()
    assert sorted(along.cached) == ["a.mp4", "b.mp4", "h264.avi", "wobbles.mkv"], "one.mp4 is too short for two clips"
    viewed = make_views(along.ingested.rows, POLICY, "pyav").rows
    ids = {row["video"]: row["video_id"] for row in viewed}
    for name, held in along.cached.items():
        shown = frames_shown(viewed, SPECS)[ids[name]]
        read = workers.read(videos / name, list(shown), POLICY)
        assert held == {index: frame.tobytes() for index, frame in zip(shown, read, strict=True)}


def test_videos_that_break_a_rule_leave_nothing(videos: Path, tmp_path: Path, workers: DecodeWorkers) -> None:
    one = found(videos, tmp_path, workers, SCENE_CLIPS, take_along=True, min_duration=9)
    assert [row["video"] for row in one.ingested.rows] == ["b.mp4"] and list(one.cached) == ["b.mp4"]
    assert len(list((tmp_path / "shots").rglob("*.json"))) == 1
    assert one.passes["probe_reading"] == 1, "what breaks a rule by its packets is not decoded for its frames"


def test_a_wrong_guess_is_not_kept(videos: Path, tmp_path: Path, workers: DecodeWorkers) -> None:
    cache, known = FrameCache.for_policy(tmp_path / "frames", "pyav", POLICY), KnownShots(tmp_path / "shots")
    ahead = ShotsAhead(SCENE_CLIPS, SPECS, POLICY, False, cache, known)
    probed = workers.probe_reading(videos / "a.mp4", ahead.plan)
    row: Row = {"video": "a.mp4", "bytes": 1, **probed.info.to_dict()}
    late = tuple(time * 1.5 for time in probed.info.times)
    for info in (replace(probed.info, times=late, duration=late[-1] + 1), replace(probed.info, width=48)):
        ahead.take({"video": "a.mp4", "bytes": 1, **info.to_dict()}, probed)
    ahead.take(row, Probed(probed.info, [], []))
    assert not list(tmp_path.rglob("*.npz")) and known.get(row["video_id"]) is None
    ahead.take(row, probed)
    assert cache.held(row["video_id"]) and known.get(row["video_id"]) is not None


def test_frames_that_are_there_are_not_converted_again(videos: Path, tmp_path: Path, workers: DecodeWorkers) -> None:
    first = found(videos, tmp_path, workers, SCENE_CLIPS, take_along=True)
    shutil.rmtree(tmp_path / "shots")
    before = workers.frames
    again = found(videos, tmp_path, workers, SCENE_CLIPS, take_along=True)
    assert (again.shots, again.cached) == (first.shots, first.cached)
    plan = ShotsAhead(
        SCENE_CLIPS, SPECS, POLICY, False, FrameCache.for_policy(tmp_path / "frames", "pyav", POLICY), KnownShots(tmp_path)
    ).plan
    assert len(plan(workers.probe(videos / "a.mp4"))) == 1 < len(plan(workers.probe(videos / "one.mp4")))
    assert workers.frames > before


@pytest.mark.parametrize(
    ("settings", "possible"),
    [
        ({}, True),
        ({"frame_cache": "kept"}, True),
        ({"frame_cache": "none"}, False),
        ({"reader": "opencv"}, False),
        ({"ingest": {"near_duplicates": {"max_distance": 4}}}, False),
        ({"clips": {"method": "transnetv2"}}, False),
        ({"clips": {"groups": {"encoder": "clip", "checkpoint": "siglip"}}}, False),
        ({"clips": {"groups": {"encoder": "clip", "checkpoint": "siglip", "threshold": 1}}}, True),
        ({"clips": {"method": "uniform"}}, True),
        (
            {
                "clips": {"method": "uniform"},
                "sources": ["annotation"],
                "annotations": ASKED,
            },
            False,
        ),
    ],
)
def test_when_ingest_can_be_ahead(tmp_path: Path, settings: dict[str, Any], possible: bool) -> None:
    if settings.get("frame_cache") == "kept":
        settings = {"frame_cache": tmp_path / "kept"}
    config = BuildConfig.model_validate({"videos": tmp_path, "model": "m", "out": tmp_path, **settings})
    assert (shots_ahead(config, POLICY, RunFrames(config, print)) is not None) == possible
    (tmp_path / "summary.json").touch()
    assert shots_ahead(config, POLICY, RunFrames(config, print)) is None, "a build that has ended decodes nothing"


def test_a_machine_that_does_not_see_the_run_is_not_ahead(tmp_path: Path) -> None:
    known = KnownShots(tmp_path / "out" / "shots.tmp")
    assert open_ahead(SCENE_CLIPS, SPECS, POLICY, False, tmp_path / "out" / "frames.tmp", True, known) is None
    assert open_ahead(SCENE_CLIPS, SPECS, POLICY, False, tmp_path / "kept", False, known) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_one_pass_finds_what_two_find_in_real_clips(shared_data: Path, tmp_path: Path, workers: DecodeWorkers) -> None:
    clips = ClipConfig(shots={"min_count": 1}, groups={"min_clips": 1})
    two = found(shared_data / "clips", tmp_path / "two", workers, clips, take_along=False)
    one = found(shared_data / "clips", tmp_path / "one", workers, clips, take_along=True)
    assert (one.ingested, one.shots, one.cached) == (two.ingested, two.shots, two.cached)
    assert two.cached and "read" not in one.passes
