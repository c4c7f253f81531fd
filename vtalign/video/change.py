"""What a perturbation function gives back, and how a changed view is judged: by what it shows, on the clock of the old one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from vtalign.ids import seed_from
from vtalign.video.segments import Segments
from vtalign.video.view import FrameTransform, Slot, VideoView

Shown = tuple[tuple[str, int | None, FrameTransform | None], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Slots `start:stop` of the new view come from segment `source` of the old one."""

    start: int
    stop: int
    source: int


@dataclass(frozen=True)
class Change:
    """The answer of a perturbation function: the new view, its pieces in order, and what exactly was done (plain JSON)."""

    view: VideoView
    pieces: tuple[Piece, ...]
    parameters: dict[str, Any]


def clock(view: VideoView, length: int) -> list[float]:
    """Shown times (s) of the first `length` slots on the clock of `view`, continued at its fps beyond its end."""
    times = [slot.time for slot in view.slots[:length]]
    missing = range(1, length - len(times) + 1)
    return times + [round(times[-1] + step / view.fps, 6) for step in missing]


def on_clock(view: VideoView, slots: Sequence[Slot]) -> VideoView:
    """The contents of `slots` in their order, shown at the times of `view`: no gap and no jump tells what was done."""
    times = clock(view, len(slots))
    return VideoView(tuple(replace(slot, time=time) for slot, time in zip(slots, times, strict=True)), view.fps)


def lay_out(runs: Iterable[tuple[int, int]]) -> tuple[Piece, ...]:
    """Pieces from (source segment, number of slots), one after the other."""
    pieces, start = [], 0
    for source, length in runs:
        pieces.append(Piece(start, start + length, source))
        start += length
    return tuple(pieces)


def in_place(segments: Segments) -> tuple[Piece, ...]:
    """The pieces of a view whose segments stay where they are."""
    return tuple(Piece(start, stop, source) for source, (start, stop) in enumerate(segments))


def events(shown: Shown) -> Shown:
    """`shown` with repeats of the slot before it taken out: what happens, without how long each frame stands still."""
    return tuple(content for content, _ in groupby(shown))


def is_still(shown: Shown) -> bool:
    """True where every slot shows the same, so that neither order nor speed can be seen."""
    return len(events(shown)) < 2


def seeded_permutation(n: int, *content: Any) -> list[int]:
    """An order of range(n) drawn from `content` alone (by hash: the same in every Python and numpy)."""
    return sorted(range(n), key=lambda index: seed_from(*content, index))
