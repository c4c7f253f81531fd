"""Frame transforms applied to decoded, resized frames: what `FrameTransform` refers to, by name."""

import numpy as np

from vtalign.errors import InputError
from vtalign.video.registry import find_transform
from vtalign.video.view import FrameTransform


def apply_transform(frame: np.ndarray, transform: FrameTransform) -> np.ndarray:
    """uint8 (H, W, 3) -> uint8 (H, W, 3), a new array, the same for the same seed and strength.

    Raises InputError for an unknown name, and where an installed transform gives another kind of array.
    """
    changed = find_transform(transform.name)(frame, transform.strength, np.random.default_rng(transform.seed))
    if not isinstance(changed, np.ndarray) or changed.shape != frame.shape or changed.dtype != np.uint8:
        found = f"{changed.dtype} {changed.shape}" if isinstance(changed, np.ndarray) else type(changed).__name__
        raise InputError(f"frame transform '{transform.name}': returned {found}, expected uint8 {frame.shape}")
    return changed
