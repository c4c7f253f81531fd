"""Strips hold the frames of the views that the model was given; what cannot be shown says why."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtalign.ids import file_hash
from vtalign.video.view import Slot, VideoView
from vtalign_eval.report.pictures import few, pictures_of

A, B = "videos/f1-a.mp4", "videos/f1-b.mp4"  # 16 frames at 8 fps


def record(data: Path, control: str = "none", **changes: Any) -> dict[str, Any]:
    policy = {"fps": 4.0, "max_pixels": 2304, "multiple": 16}
    return {"frame_policy": policy, "control": control, "config": {"data": str(data), "seed": 0}} | changes


def test_few_slots_are_spread_over_the_view_with_both_ends() -> None:
    view = VideoView(tuple(Slot("v", k, k / 2) for k in range(21)), 2.0)
    assert [slot.frame for slot in few(view, 5).slots] == [0, 5, 10, 15, 20]
    assert few(view, 21) == view == few(view, 100)
    assert len(few(VideoView((Slot("v", 0, 0.0),), 2.0))) == 1


def test_a_plain_run_has_one_strip_a_video(shapes: Path) -> None:
    found = pictures_of(record(shapes), [B, A, A], {})
    assert sorted(found.strips) == [A, B] and not found.why_not and not found.reason
    (strip,) = found.strips[A]
    assert strip["title"] == "shown to the model (all 8 frames)" and strip["frames"].shape == (8, 48, 48, 3)
    assert strip["captions"][:3] == ["0 s", "0.25 s", "0.5 s"]


@pytest.mark.parametrize("control", ["reversed", "shuffled", "repeated-frame", "one-frame"])
def test_a_control_has_the_video_and_what_was_shown_instead(shapes: Path, control: str) -> None:
    clean, instead = pictures_of(record(shapes, control), [A], {}).strips[A]
    assert clean["title"].startswith("the video (") and instead["title"].startswith(f"shown to the model: {control} (")
    if control == "reversed":
        np.testing.assert_array_equal(instead["frames"], clean["frames"][::-1])
    if control == "repeated-frame":
        assert all(np.array_equal(frame, clean["frames"][4]) for frame in instead["frames"])
    assert len(instead["frames"]) == (2 if control == "one-frame" else 8)


def test_without_video_the_strip_says_that_the_model_saw_nothing(shapes: Path) -> None:
    (strip,) = pictures_of(record(shapes, "text"), [A], {}).strips[A]
    assert strip["title"].startswith("the video, of which the model was shown nothing")


def test_a_control_that_cannot_change_a_still_says_so(shapes: Path) -> None:
    still = record(shapes, "reversed", frame_policy={"count": 1, "multiple": 16})
    (strip,) = pictures_of(still, [A], {}).strips[A]
    assert "reversed cannot change it" in strip["title"]


def test_what_cannot_be_shown_costs_its_own_strip(shapes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    (data / B).write_bytes(b"<html>")
    hashes = {name: file_hash(data / name) for name in (A, "videos/f2-a.mp4")}
    shutil.copy(data / "videos/f3-a.mp4", data / "videos/f2-a.mp4")
    found = pictures_of(record(data), [A, B, "videos/gone.mp4", "../secret.mp4", "videos/f2-a.mp4"], hashes)
    assert list(found.strips) == [A]
    assert (
        found.why_not["videos/gone.mp4"] == "missing" and found.why_not["videos/f2-a.mp4"] == "the file has changed since the run"
    )
    assert found.why_not.keys() == {B, "videos/gone.mp4", "../secret.mp4", "videos/f2-a.mp4"}


def test_no_frames_at_all_have_a_reason(tmp_path: Path) -> None:
    assert "no longer in" in pictures_of(record(tmp_path / "gone"), [A], {}).reason
    assert "stored or came from elsewhere" in pictures_of(record(tmp_path, frame_policy=None), [A], {}).reason
