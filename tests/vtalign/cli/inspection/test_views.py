"""Which picture a slot shows, and where it comes from."""

import pytest

from vtalign.cli.inspection.views import CellTable, cells_of, segment_numbers, sources, strip_of
from vtalign.report.inspect_page import BLANK, NO_PICTURE
from vtalign.video.view import FrameTransform, Slot, VideoView


def view(*frames: int | None, video: str = "a") -> VideoView:
    return VideoView(tuple(Slot(video, frame, place / 2) for place, frame in enumerate(frames)), 2.0)


def test_a_picture_is_kept_once_however_often_it_is_shown() -> None:
    blurred = VideoView((Slot("a", 4, 0.0, FrameTransform("mirror", 7)), Slot("b", 1, 0.5)), 2.0)
    cells = cells_of([view(4, 0, 4, None), view(0, 4), blurred])
    assert cells == {"a": [(0, None), (4, None), (4, FrameTransform("mirror", 7))], "b": [(1, None)]}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (view(4, 6, 0, 2), [2, 3, 0, 1]),  # shuffled
        (view(6, 4, 2, 0), [3, 2, 1, 0]),  # backwards
        (view(0, 0, 2, 2), [0, 0, 1, 1]),  # slow
        (view(None, 2), [-1, 1]),
        (view(0, 2, video="b"), [-1, -1]),
        (VideoView((Slot("a", 2, 0.0, FrameTransform("noise", 1)),), 2.0), [1]),
    ],
)
def test_places_in_the_clean_strip(shown: VideoView, expected: list[int]) -> None:
    assert sources(shown, view(0, 2, 4, 6)) == expected


def test_held_frames_go_on_where_the_slot_before_them_was() -> None:
    assert sources(view(3, 3, 0, 0), view(0, 0, 3, 3)) == [2, 3, 0, 1]


@pytest.mark.parametrize(
    ("length", "segments", "expected"),
    [
        (5, ((0, 2), (2, 5)), [0, 0, 1, 1, 1]),
        (8, None, [0, 0, 1, 1, 2, 2, 3, 3]),
        (4, ((0, 2),), [0, 1, 2, 3]),  # bounds of another view: quarters
        (2, None, [0, 1]),
        (0, None, []),
    ],
)
def test_segments_or_quarters(length: int, segments: tuple[tuple[int, int], ...] | None, expected: list[int]) -> None:
    assert segment_numbers(length, segments) == expected


def test_a_strip_tells_what_is_strange_in_it() -> None:
    clean = view(0, 2, 4)
    shown = VideoView(
        (Slot("a", 4, 0.0, FrameTransform("noise", 3)), Slot("b", 9, 0.5), Slot("a", None, 1.0), Slot("a", 77, 1.5)), 2.0
    )
    table = CellTable({"a": 0, "b": 1}, {"a": {(4, FrameTransform("noise", 3)): 5}, "b": {(9, None): 2}})
    strip = strip_of(shown, clean, None, table, "a")
    assert strip["cells"] == [5, 2, BLANK, NO_PICTURE] and strip["sources"] == [2, -1, -1, -1]
    assert strip["notes"] == {0: "noise", 1: "another video"} and strip["videos"] == {1: 1} and strip["parts"] == []
