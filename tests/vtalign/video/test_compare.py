"""The ingest check finds readers that show other frames than were asked for."""

import importlib.util
from pathlib import Path

import pytest

from vtalign.video.compare import compare_readers
from vtalign.video.limits import DecodeLimits

from .numbered_clips import number_of

LIMITS = DecodeLimits()
needs_decord = pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord is not installed (x86-64 only)")


def test_readers_that_agree(clips: dict[str, Path]) -> None:
    assert compare_readers(clips["closed_gop.mp4"], "opencv", 60, LIMITS) == []
    assert compare_readers(clips["closed_gop.mp4"], "pyav", 60, LIMITS) == []


@needs_decord
def test_decords_wrong_frames_are_found_and_named(clips: dict[str, Path]) -> None:
    from vtalign.video.readers import read_frames

    found = compare_readers(clips["h264.ts"], "decord", 60, LIMITS)
    assert found
    for difference in found:
        if difference.looks_like is not None:
            asked = sorted({difference.frame for difference in compare_readers(clips["h264.ts"], "decord", 60, LIMITS)})
            assert difference.frame in asked and difference.looks_like != difference.frame
    assert number_of(read_frames(clips["h264.ts"], [30], None, LIMITS, "decord")[0]) != 30


@needs_decord
def test_a_reader_that_ignores_rotation_differs_in_shape(shared_data: Path) -> None:
    found = compare_readers(shared_data / "clips" / "decord_rot90.mov", "decord", 3, LIMITS)
    assert all(difference.difference > 4 for difference in found)
