"""The perturbation engine: a pure function from view, spec, segments and seed to a view that shows something else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vtalign.errors import InputError, PerturbationError
from vtalign.video.change import Change, Piece, clock, in_place, is_still
from vtalign.video.perturbation_spec import PerturbationSpec, compose
from vtalign.video.registry import PerturbationFunction
from vtalign.video.segments import Segments, check_segments, group_units
from vtalign.video.view import VideoView

__all__ = [
    "Change",
    "PerturbationFunction",
    "PerturbationSpec",
    "Perturbed",
    "Piece",
    "SegmentAfter",
    "Segments",
    "compose",
    "perturb",
    "perturbations_for",
]


@dataclass(frozen=True, slots=True)
class SegmentAfter:
    """Slots `start:stop` of the perturbed view are segment `source` of the clean one; `changed`: they show something else."""

    start: int
    stop: int
    source: int
    changed: bool


@dataclass(frozen=True)
class Perturbed:
    """A perturbed view and how it came about. Equal inputs give an equal one, anywhere."""

    view: VideoView
    spec: PerturbationSpec
    seed: int
    parameters: dict[str, Any]
    segments_after: tuple[SegmentAfter, ...]

    @property
    def bounds(self) -> Segments:
        """`segments_after` as the segments of the new view, for what comes next."""
        return tuple((segment.start, segment.stop) for segment in self.segments_after)

    def to_dict(self) -> dict[str, Any]:
        return {
            "view": self.view.to_dict(),
            "spec": self.spec.model_dump(mode="json", exclude_defaults=True),
            "seed": self.seed,
            "parameters": self.parameters,
            "segments_after": [[s.start, s.stop, s.source, s.changed] for s in self.segments_after],
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "Perturbed":
        return Perturbed(
            VideoView.from_dict(data["view"]),
            PerturbationSpec.model_validate(data["spec"]),
            data["seed"],
            data["parameters"],
            tuple(SegmentAfter(*row) for row in data["segments_after"]),
        )


def perturb(
    view: VideoView,
    spec: PerturbationSpec,
    *,
    segments: Segments | None = None,
    seed: int,
    distractors: Sequence[VideoView] = (),
) -> Perturbed:
    """`view` changed as `spec` says, on `segments` (None: uniform ones, as many as the strength asks for).

    `distractors`: views of other videos, of which `insert_distractor` takes one.

    Raises PerturbationError (`<label>: <reason>: <detail>`; too_short, no_change, broken,
    no_distractor, transformed) where the view is too short for the strength
    or the result would show the same as before; InputError where `segments` do not cover the view.
    """
    bounds = _uniform(view, spec) if segments is None else check_segments(segments, len(view))
    if len(view) < 2:
        raise PerturbationError(f"{spec.label}: too_short: the view has {len(view)} frames")
    change = _apply(view, spec, bounds, seed, distractors)
    _verify(view, spec, bounds, change)
    old, new = view.shown, change.view.shown
    after = tuple(
        SegmentAfter(p.start, p.stop, p.source, new[p.start : p.stop] != old[slice(*bounds[p.source])]) for p in change.pieces
    )
    return Perturbed(change.view, spec, seed, change.parameters, after)


def perturbations_for(
    view: VideoView,
    specs: Sequence[PerturbationSpec],
    segments: Segments | None,
    seed: int,
    distractors: Sequence[VideoView] = (),
) -> tuple[list[Perturbed], list[tuple[PerturbationSpec, str]]]:
    """All of `specs` that this view can bear, and the others with the reason.

    Of specs that show the same (two strengths on a short view; shuffle and reverse of two groups) the first one stays.
    """
    made: dict[Any, Perturbed] = {}
    refused: list[tuple[PerturbationSpec, str]] = []
    for spec in specs:
        try:
            result = perturb(view, spec, segments=segments, seed=seed, distractors=distractors)
        except PerturbationError as error:
            refused.append((spec, str(error)))
            continue
        first = made.setdefault(result.view.shown, result)
        if first is not result:
            refused.append((spec, f"{spec.label}: duplicate: shows the same as {first.spec.label}"))
    return list(made.values()), refused


def _uniform(view: VideoView, spec: PerturbationSpec) -> Segments:
    count = spec.uniform_count
    if len(view) < max(count, 1):
        raise PerturbationError(f"{spec.label}: too_short: needs {count} frames or more, the view has {len(view)}")
    return group_units(len(view), count, spec.groups)


def _apply(view: VideoView, spec: PerturbationSpec, segments: Segments, seed: int, distractors: Sequence[VideoView]) -> Change:
    found = spec.registered
    if found.function is None:
        return _apply_steps(view, spec, segments, seed, distractors)
    if found.needs_distractors:
        return found.function(view, spec, segments, seed, distractors)
    return found.function(view, spec, segments, seed)


def _apply_steps(
    view: VideoView, spec: PerturbationSpec, segments: Segments, seed: int, distractors: Sequence[VideoView]
) -> Change:
    """Each step sees the segments where the step before left them. A later step may undo an earlier one; `perturb` finds out."""
    change = Change(view, in_place(segments), {})
    done = []
    for step in spec.steps:
        sources = [piece.source for piece in change.pieces]
        bounds = tuple((piece.start, piece.stop) for piece in change.pieces)
        try:
            result = _apply(change.view, step, bounds, seed, distractors)
            _verify(change.view, step, bounds, result)
        except PerturbationError as error:
            raise PerturbationError(
                f"{spec.label}: {str(error).removeprefix(step.label + ': ')} (in step {step.label})"
            ) from None
        change = Change(result.view, tuple(Piece(p.start, p.stop, sources[p.source]) for p in result.pieces), {})
        done.append({"name": step.name, "strength": step.strength, **result.parameters})
    return Change(change.view, change.pieces, {"steps": done})


def _verify(view: VideoView, spec: PerturbationSpec, segments: Segments, change: Change) -> None:
    """Holds every perturbation, a user's own included, to what the rest of the project relies on."""
    after = change.view
    if after.fps != view.fps or [slot.time for slot in after.slots] != clock(view, len(after)):
        raise PerturbationError(f"{spec.label}: broken: the result does not keep the clock of the view")
    try:
        check_segments(tuple((piece.start, piece.stop) for piece in change.pieces), len(after))
    except InputError as error:
        raise PerturbationError(f"{spec.label}: broken: {error}") from None
    if any(not 0 <= piece.source < len(segments) for piece in change.pieces):
        raise PerturbationError(f"{spec.label}: broken: a piece names a segment that the view does not have")
    if after.shown == view.shown or (is_still(after.shown) and is_still(view.shown) and after.shown[:1] == view.shown[:1]):
        raise PerturbationError(f"{spec.label}: no_change: the result shows what the view shows")
