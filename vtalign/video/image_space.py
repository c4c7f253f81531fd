"""Image-space perturbations: what the built-in frame transforms do to pixels, and how a perturbation sets them on a view.

A pixel function takes uint8 (H, W, 3), a strength and a generator, and gives a new array of the same form. The generator is seeded
alike for all frames of a view, so that they all get the same window, the same grain and the same holes.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vtalign.errors import PerturbationError
from vtalign.ids import seed_from
from vtalign.video.change import Change, in_place
from vtalign.video.segments import Segments
from vtalign.video.view import FrameTransform, VideoView

if TYPE_CHECKING:
    from vtalign.video.perturbation_spec import PerturbationSpec


def crop(frame: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """A drawn window of 1 / strength of the area, in the shape of the frame, enlarged to its size.

    A random resized crop as in mDPO (luka-group/mDPO, mdpo_trainer.py), which leaves 1 to 20 % of the area.
    """
    height, width = frame.shape[:2]
    share = strength**-0.5
    rows, columns = max(1, round(height * share)), max(1, round(width * share))
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    window = np.ascontiguousarray(frame[top : top + rows, left : left + columns])
    # the exact variant computes in integers: the same pixels on every machine
    return cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)


def blur(frame: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian, its standard deviation strength / 128 of the shorter side, so that large and small frames lose as much."""
    sigma = strength * min(frame.shape[:2]) / 128
    return cv2.GaussianBlur(frame, (0, 0), sigma)


def noise(frame: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian, its standard deviation 8 * strength of 255 levels."""
    noisy = frame.astype(np.float32) + rng.normal(0.0, 8.0 * strength, frame.shape).astype(np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def pixel_mask(frame: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """7.5 % * strength of the pixels take the mean colour; strength 4 is OPA-DPO's 30 %."""
    masked = frame.copy()
    masked[rng.random(frame.shape[:2]) < 0.075 * strength] = frame.reshape(-1, 3).mean(axis=0).astype(np.uint8)
    return masked


def mirror(frame: np.ndarray, strength: int, rng: np.random.Generator) -> np.ndarray:
    """Left and right exchanged, whatever the strength."""
    return np.ascontiguousarray(frame[:, ::-1])


def transform_frames(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """The frame transform of the perturbation's name on every frame that is not black, with one seed for all of them.

    Strengths share the seed: a stronger crop lies where the weaker one lies, about. Raises PerturbationError where frames are
    transformed already, since a slot holds one transform.
    """
    return _with_transform(
        view, spec, segments, FrameTransform(spec.name, seed_from(view.view_id, spec.name, seed), spec.strength)
    )


def mirror_frames(view: VideoView, spec: "PerturbationSpec", segments: Segments, seed: int) -> Change:
    """`mirror` on every frame: the same at every strength, which is nominal. Nothing is drawn."""
    return _with_transform(view, spec, segments, FrameTransform("mirror"))


def _with_transform(view: VideoView, spec: "PerturbationSpec", segments: Segments, transform: FrameTransform) -> Change:
    if any(slot.transform is not None for slot in view.slots):
        raise PerturbationError(f"{spec.label}: transformed: frames of the view have a transform already, and hold only one")
    slots = tuple(slot if slot.frame is None else replace(slot, transform=transform) for slot in view.slots)
    return Change(VideoView(slots, view.fps), in_place(segments), {"transform": transform.to_dict()})
