"""`shuffle`, `local_shuffle`, `reverse` and `drop`: segments change place or go, the clock stays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vtalign.errors import PerturbationError
from vtalign.video.change import Change, Shown, events, in_place, is_still, lay_out, on_clock, seeded_permutation
from vtalign.video.segments import Segments, group_units
from vtalign.video.view import VideoView

if TYPE_CHECKING:
    from vtalign.video.perturbation_spec import PerturbationSpec

_DRAWS = 64
"""Draws before a result is constructed instead; half of all orders of two groups, and far fewer of more, are the identity."""


def shuffle(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """Groups of segments in a drawn order; every order that shows something else is equally likely.

    Drawn from the view, the groups and the seed, not from the nominal strength: strengths that make the same groups give the
    same result. Raises PerturbationError where there are fewer segments than the strength, or where no order can be seen.
    """
    groups = _groups(spec, segments)
    order = _other_order(_words(view, segments, groups), view.view_id, "shuffle", groups, seed)
    if order is None:
        raise PerturbationError(
            f"{spec.label}: no_change: all {len(groups)} groups show the same, so no order can be told from another"
        )
    return _reorder(view, segments, groups, order)


def local_shuffle(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """Frames in a drawn order inside windows of `strength` frames, so that the coarse order stays; no window goes beyond its segment.

    With `units: segments`, segments inside windows of `strength` segments. Every window whose order can be seen changes, each of
    its other orders being equally likely. Raises PerturbationError where there is one window only (that would be `shuffle`), or
    where no window can change.
    """
    by_frame = spec.units == "frames"
    units: Segments = tuple((index, index + 1) for index in range(len(view))) if by_frame else segments
    wholes: Segments = segments if by_frame else ((0, len(segments)),)
    windows = [(at, min(at + spec.strength, stop)) for start, stop in wholes for at in range(start, stop, spec.strength)]
    if len(windows) < 2:
        raise PerturbationError(f"{spec.label}: too_short: needs more than {spec.strength} {spec.units}, there are {len(units)}")
    order: list[int] = []
    for first, last in windows:
        words = [view.shown[slice(*unit)] for unit in units[first:last]]
        drawn = _other_order(words, view.view_id, "local_shuffle", spec.units, units[first:last], seed)
        order += [first + index for index in (range(last - first) if drawn is None else drawn)]
    if order == list(range(len(units))):
        raise PerturbationError(f"{spec.label}: no_change: no window of {spec.strength} {spec.units} shows an order")
    if by_frame:
        return Change(view.with_contents(order), in_place(segments), {"units": spec.units, "order": order})
    singles: Segments = tuple((index, index + 1) for index in range(len(segments)))
    change = _reorder(view, segments, singles, order)
    return Change(change.view, change.pieces, {"units": spec.units, "order": order})


def reverse(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """Groups of segments in reversed order; `frames: reversed` turns the frames inside as well, which is the view backwards.

    To turn the motion inside each segment and keep the segments in place, compose both forms. Nothing is drawn.
    Raises PerturbationError where there are fewer segments than the strength, or where the view reads the same backwards.
    """
    if spec.frames == "reversed":
        slots = view.slots[::-1]
        pieces = lay_out((source, segments[source][1] - segments[source][0]) for source in reversed(range(len(segments))))
        return Change(on_clock(view, slots), pieces, {"frames": "reversed"})
    groups = _groups(spec, segments)
    return _reorder(view, segments, groups, list(reversed(range(len(groups)))))


def drop(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """`len(segments) // strength` drawn segments stay, in order, and close ranks; something that was shown is not shown any more.

    Raises PerturbationError where there are fewer segments than the strength, where the whole view is a still (its end cannot be
    missed), or where a single frame would be left, which shows no time at all.
    """
    _require(spec, segments)
    if is_still(view.shown):
        raise PerturbationError(f"{spec.label}: no_change: every frame shows the same, so nothing can be missed")
    count = len(segments) // spec.strength

    def missing_something(kept: list[int]) -> bool:
        left = tuple(slot.content for index in kept for slot in view.slots[slice(*segments[index])])
        return len(left) >= 2 and events(left) != events(view.shown)

    drawn = (
        sorted(seeded_permutation(len(segments), view.view_id, "drop", segments, count, seed, d)[:count]) for d in range(_DRAWS)
    )
    # At most half stays: if the first ones show all that happens, the rest repeats one frame, and the last ones show only that.
    ends = (list(range(count)), list(range(len(segments) - count, len(segments))))
    for kept in (*drawn, *ends):
        if missing_something(kept):
            slots = [slot for index in kept for slot in view.slots[slice(*segments[index])]]
            pieces = lay_out((index, segments[index][1] - segments[index][0]) for index in kept)
            return Change(on_clock(view, slots), pieces, {"kept": kept, "of": len(segments)})
    raise PerturbationError(f"{spec.label}: too_short: {count} of {len(segments)} segments would leave less than two frames")


def _other_order(words: Sequence[Shown], *content: Any) -> list[int] | None:
    """An order of `words` that shows something else, drawn from `content`, all of them equally likely; None where there is none."""
    differing = [index for index in range(len(words) - 1) if words[index] + words[index + 1] != words[index + 1] + words[index]]
    # If all neighbours commute they are powers of one word, and then so does every order of them.
    if not differing:
        return None
    as_it_was = _joined(words, range(len(words)))
    for draw in range(_DRAWS):
        order = seeded_permutation(len(words), *content, draw)
        if _joined(words, order) != as_it_was:
            return order
    order = list(range(len(words)))
    pick = differing[seeded_permutation(len(differing), *content)[0]]
    order[pick], order[pick + 1] = order[pick + 1], order[pick]
    return order


def _require(spec: "PerturbationSpec", segments: Segments) -> None:
    if len(segments) < spec.strength:
        raise PerturbationError(f"{spec.label}: too_short: needs {spec.strength} segments or more, there are {len(segments)}")


def _groups(spec: "PerturbationSpec", segments: Segments) -> Segments:
    """Groups as bounds in segments (not slots)."""
    _require(spec, segments)
    return group_units(len(segments), spec.strength, spec.groups)


def _words(view: VideoView, segments: Segments, groups: Segments) -> list[Shown]:
    shown = view.shown
    return [shown[segments[first][0] : segments[last - 1][1]] for first, last in groups]


def _joined(words: Sequence[Shown], order: Sequence[int]) -> Shown:
    return tuple(content for index in order for content in words[index])


def _reorder(view: VideoView, segments: Segments, groups: Segments, order: list[int]) -> Change:
    moved = [source for index in order for source in range(*groups[index])]
    contents = [slot for source in moved for slot in range(*segments[source])]
    pieces = lay_out((source, segments[source][1] - segments[source][0]) for source in moved)
    bounds = [[segments[first][0], segments[last - 1][1]] for first, last in groups]
    return Change(view.with_contents(contents), pieces, {"groups": bounds, "order": order})
