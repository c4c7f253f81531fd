"""`speed`: the content of segments runs faster or slower while the slots keep the rate of the view."""

from dataclasses import replace
from typing import TYPE_CHECKING

from vtalign.errors import PerturbationError
from vtalign.video.change import Change, is_still, lay_out, on_clock, seeded_permutation
from vtalign.video.segments import Segments
from vtalign.video.view import Slot, VideoView

if TYPE_CHECKING:
    from vtalign.video.perturbation_spec import PerturbationSpec


def speed(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """Segments at `strength` times their speed; a fast one gets shorter, a slow one longer, by that factor.

    Fast shows every strength-th slot. Slow shows the source frames that lie between two slots, and repeats one only where the
    source has none between them. A segment is taken to be continuous: its neighbouring slots are neighbours in the source.

    Raises PerturbationError where the change could not be seen: a fast segment that would be left with one frame, or stills.
    """
    moving = [index for index, bounds in enumerate(segments) if not is_still(view.shown[slice(*bounds)])]
    if not moving:
        raise PerturbationError(f"{spec.label}: no_change: every segment is a still, so its speed cannot be seen")
    lengths = [stop - start for start, stop in segments]
    if spec.affected == "one":
        seen = [index for index in moving if spec.direction == "slow" or lengths[index] > spec.strength]
        chosen = {seen[seeded_permutation(len(seen), view.view_id, "speed", segments, seed)[0]]} if seen else set()
    else:
        seen = [index for index, length in enumerate(lengths) if spec.direction == "slow" or length > spec.strength]
        chosen = set(seen) if len(seen) == len(segments) else set()
    if not chosen:
        raise PerturbationError(
            f"{spec.label}: too_short: needs segments of more than {spec.strength} frames, the shortest has {min(lengths)}"
        )
    resampled = _fast if spec.direction == "fast" else slowed
    parts = [
        resampled(view.slots[slice(*bounds)], spec.strength) if index in chosen else view.slots[slice(*bounds)]
        for index, bounds in enumerate(segments)
    ]
    slots = [slot for part in parts for slot in part]
    parameters = {"factor": spec.strength, "direction": spec.direction, "segments": sorted(chosen)}
    return Change(on_clock(view, slots), lay_out((index, len(part)) for index, part in enumerate(parts)), parameters)


def _fast(slots: tuple[Slot, ...], factor: int) -> tuple[Slot, ...]:
    return slots[::factor]


def slowed(slots: tuple[Slot, ...], factor: int) -> tuple[Slot, ...]:
    """`slots` at `factor` times their number: new slot k shows position k / factor.

    Past the last slot there is nothing to lean on, so that one repeats.
    """
    after = (*slots[1:], slots[-1])
    return tuple(_between(slots[k // factor], after[k // factor], k % factor, factor) for k in range(len(slots) * factor))


def _between(before: Slot, after: Slot, part: int, whole: int) -> Slot:
    """The source frame `part / whole` of the way, rounded; `before` where the two slots have no way between them."""
    if before.frame is None or after.frame is None or (before.video_id, before.transform) != (after.video_id, after.transform):
        return before
    # Integers only, so that no platform rounds differently.
    return replace(before, frame=before.frame + (2 * (after.frame - before.frame) * part + whole) // (2 * whole))
