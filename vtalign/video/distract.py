"""`insert_distractor`: part of another video stands where a part of this one was, or follows it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vtalign.errors import PerturbationError
from vtalign.ids import seed_from
from vtalign.video.change import Change, lay_out, on_clock, seeded_permutation
from vtalign.video.segments import Segments
from vtalign.video.view import Slot, VideoView

if TYPE_CHECKING:
    from vtalign.video.perturbation_spec import PerturbationSpec


def insert_distractor(
    view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int, distractors: Sequence[VideoView]
) -> Change:
    """`strength // 2` neighbouring segments, drawn, are replaced by as many frames of another video, or (`place: after`) followed
    by them, as in LongVPO.

    Which of the `distractors` it is follows from their content and the seed, not from their order; views of a video that is
    shown already are none. A distractor with fewer frames than are wanted holds them. What is inserted after a segment is a piece
    of that segment.

    Raises PerturbationError where no distractor is of another video, or where none of this one's segments would be left.
    """
    own = set(view.video_ids)
    foreign = [other for other in distractors if not own & set(other.video_ids) and any(s.frame is not None for s in other.slots)]
    if not foreign:
        raise PerturbationError(f"{spec.label}: no_distractor: there is no view of another video to insert")
    count = spec.strength // 2
    if len(segments) <= count:
        raise PerturbationError(f"{spec.label}: too_short: needs more than {count} segments, there are {len(segments)}")
    content = (view.view_id, "insert_distractor", seed)
    other = min(foreign, key=lambda candidate: (seed_from(*content, candidate.view_id), candidate.view_id))
    first = seeded_permutation(len(segments) - count + 1, *content, segments, count)[0]
    begin, end = segments[first][0], segments[first + count - 1][1]
    inserted, start = _part(other, end - begin, *content, other.view_id)
    parts = [(index, view.slots[slice(*bounds)]) for index, bounds in enumerate(segments)]
    if spec.place == "replace":
        for index in range(first, first + count):
            parts[index] = index, inserted[segments[index][0] - begin : segments[index][1] - begin]
    else:
        parts.insert(first + count, (first + count - 1, inserted))
    slots = [slot for _, part in parts for slot in part]
    done = {
        "videos": list(other.video_ids),
        "from_slot": start,
        "segments": list(range(first, first + count)),
        "place": spec.place,
    }
    return Change(on_clock(view, slots), lay_out((index, len(part)) for index, part in parts), done)


def _part(other: VideoView, length: int, *content: object) -> tuple[tuple[Slot, ...], int]:
    """`length` neighbouring slots from a drawn one on (and which that is); all of them, held evenly, where there are fewer."""
    if len(other) < length:
        return tuple(other.slots[index * len(other) // length] for index in range(length)), 0
    start = seed_from("part", *content) % (len(other) - length + 1)
    return other.slots[start : start + length], start
