"""The one registry of perturbations and frame transforms: the built-in ones, and those of installed packages.

A package of your own adds to it by entry points of two groups:

- `vtalign.perturbations`: a `PerturbationFunction`, which the engine holds to its laws like a built-in one;
- `vtalign.frame_transforms`: a `PixelFunction`; it is a perturbation of that name at once (for pairs that compare views).

Names are looked up in this order: built-in, installed perturbations, installed frame transforms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import numpy as np

from vtalign.errors import InputError
from vtalign.video.change import Change
from vtalign.video.distract import insert_distractor
from vtalign.video.hide import SIXTEENTHS, mask, segment_exclude, sparse_subsample
from vtalign.video.image_space import blur, crop, mirror, mirror_frames, noise, pixel_mask, transform_frames
from vtalign.video.rearrange import drop, local_shuffle, reverse, shuffle
from vtalign.video.resample import speed
from vtalign.video.segments import Segments
from vtalign.video.view import VideoView

if TYPE_CHECKING:
    from vtalign.video.perturbation_spec import PerturbationSpec

PERTURBATION_GROUP = "vtalign.perturbations"
TRANSFORM_GROUP = "vtalign.frame_transforms"

PerturbationFunction = Callable[[VideoView, "PerturbationSpec", Segments, int], Change]
"""What an entry point of group `vtalign.perturbations` names: (view, spec, segments, seed) -> Change, without side effects.

The new view must keep the clock (`change.on_clock` does that) and its pieces must cover it; whatever is drawn should be drawn
from the view's id and the seed (`ids.seed_from`).
"""

PixelFunction = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
"""What an entry point of group `vtalign.frame_transforms` names: (frame, strength, generator) -> a new frame.

Frames are uint8 (H, W, 3), RGB. All frames of a view get a generator of the same seed; big strength = plainly different.
"""


def _strength(spec: "PerturbationSpec") -> int:
    return spec.strength


def _one(spec: "PerturbationSpec") -> int:
    return 1


def _two(spec: "PerturbationSpec") -> int:
    return 2


def _sixteen(spec: "PerturbationSpec") -> int:
    return SIXTEENTHS


@dataclass(frozen=True)
class Perturbation:
    """A named perturbation: what it does, which fields of `PerturbationSpec` are its options, and which strengths it knows.

    `function` is a `PerturbationFunction`; with `needs_distractors` it is given views of other videos as well; None for `compose`,
    which the engine does itself. `uniform`: into how many segments a view without given ones is split. `image_space`: it changes
    frames, and neither which ones are shown nor when, so that no word about time gets wrong by it.
    """

    function: Callable[..., Change] | None
    uniform: Callable[["PerturbationSpec"], int]
    options: frozenset[str] = frozenset()
    least: Callable[["PerturbationSpec"], int] = _two
    most: int | None = None
    needs_distractors: bool = False
    image_space: bool = False


PERTURBATIONS: dict[str, Perturbation] = {
    "shuffle": Perturbation(shuffle, _strength, frozenset({"groups"})),
    "reverse": Perturbation(
        reverse,
        lambda spec: 1 if spec.frames == "reversed" else spec.strength,
        frozenset({"groups", "frames"}),
        least=lambda spec: 1 if spec.frames == "reversed" else 2,
    ),
    "drop": Perturbation(drop, _strength),
    # `speed` acts on the view as a whole where no segments are given
    "speed": Perturbation(speed, _one, frozenset({"direction", "affected"})),
    "compose": Perturbation(None, lambda spec: max(step.uniform_count for step in spec.steps), frozenset({"steps"}), least=_one),
    "mask": Perturbation(mask, _one, most=SIXTEENTHS - 1),
    "local_shuffle": Perturbation(
        local_shuffle, lambda spec: 2 * spec.strength if spec.units == "segments" else 1, frozenset({"units"})
    ),
    "segment_exclude": Perturbation(segment_exclude, _sixteen, frozenset({"start", "stop"})),
    "sparse_subsample": Perturbation(sparse_subsample, _one),
    "insert_distractor": Perturbation(insert_distractor, _sixteen, frozenset({"place"}), needs_distractors=True),
    "crop": Perturbation(transform_frames, _one, image_space=True),
    "blur": Perturbation(transform_frames, _one, image_space=True),
    "noise": Perturbation(transform_frames, _one, image_space=True),
    "pixel_mask": Perturbation(transform_frames, _one, most=13, image_space=True),
    "mirror": Perturbation(mirror_frames, _one, least=_one, image_space=True),
}

FRAME_TRANSFORMS: dict[str, PixelFunction] = {
    "crop": crop,
    "blur": blur,
    "noise": noise,
    "pixel_mask": pixel_mask,
    "mirror": mirror,
}


def find_perturbation(name: str) -> Perturbation | None:
    """The perturbation of that name, None where there is none. What is installed is not imported before it is applied."""
    if name in PERTURBATIONS:
        return PERTURBATIONS[name]
    if (point := _installed(PERTURBATION_GROUP, name)) is not None:
        return Perturbation(lambda *given: _function(point)(*given), _strength, frozenset({"options"}), least=_one)
    if _installed(TRANSFORM_GROUP, name) is not None:
        return Perturbation(transform_frames, _one, least=_one, image_space=True)
    return None


@lru_cache(maxsize=64)  # asked for every frame, and looking into the installed packages takes longer than a transform
def find_transform(name: str) -> PixelFunction:
    """Raises InputError for a name that nobody knows, and for an entry point that cannot be loaded."""
    if name in FRAME_TRANSFORMS:
        return FRAME_TRANSFORMS[name]
    point = _installed(TRANSFORM_GROUP, name)
    if point is None:
        raise InputError(f"frame transform '{name}': unknown (known: {', '.join([*FRAME_TRANSFORMS, *_names(TRANSFORM_GROUP)])})")
    return _function(point)


def perturbation_names() -> list[str]:
    """All that `find_perturbation` finds, the built-in ones first."""
    return list(dict.fromkeys([*PERTURBATIONS, *_names(PERTURBATION_GROUP), *_names(TRANSFORM_GROUP)]))


def _names(group: str) -> list[str]:
    return sorted({point.name for point in entry_points(group=group)})


def _installed(group: str, name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=group, name=name)), None)


def _function(point: EntryPoint) -> Callable[..., Any]:
    try:
        function = point.load()
    except Exception as error:  # whatever a package does when it is imported
        raise InputError(
            f"'{point.name}' of {point.group}: its entry point {point.value} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not callable(function):
        raise InputError(f"'{point.name}' of {point.group}: {point.value} is a {type(function).__name__}, not a function")
    found: Callable[..., Any] = function
    return found
