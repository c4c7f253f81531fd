"""Image-space changes of single frames, by name: what `FrameTransform` refers to. Applied after decoding and resizing."""

from collections.abc import Callable

import numpy as np

from vtalign.errors import InputError
from vtalign.video.view import FrameTransform

_MASKED = 0.3  # share of pixels, as in mDPO-style conditional preference


def apply_transform(frame: np.ndarray, transform: FrameTransform) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 (H, W, 3), a new array, the same for the same seed. Raises InputError for an unknown name."""
    if transform.name not in TRANSFORMS:
        raise InputError(f"frame transform '{transform.name}': unknown (known: {', '.join(TRANSFORMS)})")
    return TRANSFORMS[transform.name](frame, np.random.default_rng(transform.seed))


def _noise(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = frame.astype(np.float32) + rng.normal(0.0, 32.0, frame.shape).astype(np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _pixel_mask(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    masked = frame.copy()
    masked[rng.random(frame.shape[:2]) < _MASKED] = frame.reshape(-1, 3).mean(axis=0).astype(np.uint8)
    return masked


def _mirror(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.ascontiguousarray(frame[:, ::-1])


TRANSFORMS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "noise": _noise,
    "pixel_mask": _pixel_mask,
    "mirror": _mirror,
}
