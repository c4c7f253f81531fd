"""`mask`, `segment_exclude` and `sparse_subsample`: part of what is shown is not shown any more."""

from dataclasses import replace
from typing import TYPE_CHECKING

from vtalign.errors import PerturbationError
from vtalign.video.change import Change, clock, events, in_place, is_still, lay_out, on_clock, seeded_permutation
from vtalign.video.segments import Segments
from vtalign.video.view import VideoView

if TYPE_CHECKING:
    from vtalign.video.perturbation_spec import PerturbationSpec

SIXTEENTHS = 16


def mask(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """Drawn frames turn black where they stand: `strength` sixteenths of those that show something, one at least, never all.

    A higher strength hides what a lower one hides, and more (RRPO, https://arxiv.org/abs/2504.12083, masks 25 to 50 %).
    Raises PerturbationError where the view is a still, of which nothing can be hidden, or where all but one frame are black.
    """
    if is_still(view.shown):
        raise PerturbationError(f"{spec.label}: no_change: every frame shows the same, so nothing can be hidden")
    seen = [index for index, slot in enumerate(view.slots) if slot.frame is not None]
    if len(seen) < 2:
        raise PerturbationError(f"{spec.label}: too_short: needs two frames that show something, the view has {len(seen)}")
    rounded = (2 * len(seen) * spec.strength + SIXTEENTHS) // (2 * SIXTEENTHS)
    count = min(max(1, rounded), len(seen) - 1)
    drawn = seeded_permutation(len(seen), view.view_id, "mask", seed)[:count]
    masked = sorted(seen[index] for index in drawn)
    slots = list(view.slots)
    for index in masked:
        slots[index] = replace(slots[index], frame=None, transform=None)
    return Change(VideoView(tuple(slots), view.fps), in_place(segments), {"masked": masked, "of": len(view)})


def segment_exclude(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """`strength // 2` neighbouring segments, drawn, go; with `start` and `stop`, those that show any of these seconds instead.

    What is left closes ranks, as after `drop`. This is the localised rejected side of TPO (https://arxiv.org/abs/2501.13919).
    Raises PerturbationError where less than two frames, or all that happens, would be left.
    """
    if is_still(view.shown):
        raise PerturbationError(f"{spec.label}: no_change: every frame shows the same, so nothing can be missed")
    for gone in _runs(view, spec, segments, seed):
        kept = [index for index in range(len(segments)) if index not in gone]
        slots = [slot for index in kept for slot in view.slots[slice(*segments[index])]]
        left = tuple(slot.content for slot in slots)
        if len(slots) >= 2 and events(left) != events(view.shown):
            pieces = lay_out((index, segments[index][1] - segments[index][0]) for index in kept)
            return Change(on_clock(view, slots), pieces, {"excluded": list(gone), "of": len(segments)})
    raise PerturbationError(f"{spec.label}: too_short: would leave less than two frames, or miss nothing that happens")


def sparse_subsample(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """Every `strength`-th frame of a segment stays, held until the next one that stays. Nothing is drawn.

    Held, because the clock stays honest that way: what is shown happens at the time that is shown, only less of it is seen. If
    the frames closed ranks instead, it would be `speed`, and on fewer slots the length of the prompt would tell.
    (The comprehensive rejected side of TPO.)
    """
    slots = [
        view.slots[start + (index - start) // spec.strength * spec.strength]
        for start, stop in segments
        for index in range(start, stop)
    ]
    return Change(on_clock(view, slots), in_place(segments), {"every": spec.strength})


def _runs(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> list[range]:
    """Runs of segments that may go, the first choice first."""
    if spec.start is not None and spec.stop is not None:
        times = clock(view, len(view) + 1)
        held = [i for i, (first, end) in enumerate(segments) if times[first] < spec.stop and times[end] > spec.start]
        if not held:
            raise PerturbationError(
                f"{spec.label}: too_short: the view ends at {times[-1]:g} s, before the part that is to be excluded"
            )
        return [range(held[0], held[-1] + 1)]
    count = spec.strength // 2
    places = len(segments) - count + 1
    if places < 2:
        raise PerturbationError(f"{spec.label}: too_short: needs more than {count} segments, there are {len(segments)}")
    order = seeded_permutation(places, view.view_id, "segment_exclude", segments, count, seed)
    return [range(first, first + count) for first in order]
