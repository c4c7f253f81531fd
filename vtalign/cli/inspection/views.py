"""Views as strips: which picture each slot shows, and where in the clean view it comes from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vtalign.report.inspect_page import BLANK, NO_PICTURE, InspectedView
from vtalign.video.segments import Segments, even_groups
from vtalign.video.view import FrameTransform, Slot, VideoView

Cell = tuple[int, FrameTransform | None]
"""A picture of one video: a decoded frame, as it is or changed."""

_PARTS = 4  # where the clips of a view are not known, its quarters are told apart


@dataclass(frozen=True)
class CellTable:
    """The pictures of the videos: `videos` video_id -> its place on the page, `cells` video_id -> picture -> its place in the sprite."""

    videos: Mapping[str, int]
    cells: Mapping[str, Mapping[Cell, int]]


def cells_of(views: Iterable[VideoView]) -> dict[str, list[Cell]]:
    """Every distinct picture that `views` show, by video, in the order of the frames (unchanged ones first)."""
    found: dict[str, set[Cell]] = {}
    for view in views:
        for slot in view.slots:
            cells = found.setdefault(slot.video_id, set())
            if slot.frame is not None and slot.frame >= 0:
                cells.add((slot.frame, slot.transform))
    return {video_id: sorted(cells, key=_cell_order) for video_id, cells in found.items()}


def strip_of(view: VideoView, clean: VideoView, segments: Segments | None, table: CellTable, video: str) -> InspectedView:
    """`view` as the strip of a pair whose clean view is `clean` (itself, for the clean strip); `video`: the pair's own."""
    strange = {place: slot.video_id for place, slot in enumerate(view.slots) if slot.video_id != video and slot.frame is not None}
    notes = {place: "another video" for place in strange}
    for place, slot in enumerate(view.slots):
        if slot.transform is not None:
            notes[place] = ", ".join([*([notes[place]] if place in notes else []), slot.transform.name])
    return {
        "video": table.videos[video],
        "cells": [_cell(slot, table) for slot in view.slots],
        "times": [round(slot.time, 3) for slot in view.slots],
        "sources": sources(view, clean),
        "parts": segment_numbers(len(view), segments) if view is clean else [],
        "notes": notes,
        "videos": {place: table.videos[video_id] for place, video_id in strange.items()},
    }


def sources(view: VideoView, clean: VideoView) -> list[int]:
    """For every slot of `view` the place in `clean` that shows the same frame, whatever was done to its pixels; -1: none does.

    A frame that is held there for several slots is taken from where the slot before it came from, onwards if it can be.
    """
    places: dict[tuple[str, int | None], list[int]] = {}
    for place, slot in enumerate(clean.slots):
        places.setdefault(_frame_of(slot), []).append(place)
    found: list[int] = []
    for slot in view.slots:
        fitting = places.get(_frame_of(slot), []) if slot.frame is not None else []
        expected = found[-1] + 1 if found else 0
        found.append(expected if expected in fitting else fitting[0] if fitting else -1)
    return found


def segment_numbers(length: int, segments: Segments | None) -> list[int]:
    """The segment of each of `length` slots: by `segments` where they cover the view, else its quarters."""
    if not length:
        return []
    bounds: Sequence[tuple[int, int]] = segments or ()
    if [place for start, stop in bounds for place in range(start, stop)] != list(range(length)):
        bounds = even_groups(length, min(_PARTS, length))
    return [number for number, (start, stop) in enumerate(bounds) for _ in range(start, stop)]


def _cell(slot: Slot, table: CellTable) -> int:
    if slot.frame is None:
        return BLANK
    return table.cells.get(slot.video_id, {}).get((slot.frame, slot.transform), NO_PICTURE)


def _frame_of(slot: Slot) -> tuple[str, int | None]:
    return slot.video_id, slot.frame


def _cell_order(cell: Cell) -> tuple[int, str]:
    frame, transform = cell
    return frame, "" if transform is None else repr(transform)
