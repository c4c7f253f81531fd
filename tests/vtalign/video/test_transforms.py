"""Frame transforms: seeded, of the same shape, never in place."""

import numpy as np
import pytest

from vtalign.errors import InputError
from vtalign.video.transforms import TRANSFORMS, apply_transform
from vtalign.video.view import FrameTransform

from .numbered_clips import numbered_frame


@pytest.mark.parametrize("name", TRANSFORMS)
def test_pure_and_seeded(name: str) -> None:
    frame = numbered_frame(37)
    kept = frame.copy()
    once, again = (apply_transform(frame, FrameTransform(name, 5)) for _ in range(2))
    assert once.shape == frame.shape and once.dtype == np.uint8
    assert (once == again).all() and (frame == kept).all() and (once != frame).any()


def test_mirror_twice_is_the_identity() -> None:
    mirror = FrameTransform("mirror")
    assert (apply_transform(apply_transform(numbered_frame(9), mirror), mirror) == numbered_frame(9)).all()


def test_other_seeds_give_other_masks() -> None:
    frame = numbered_frame(9)
    assert (
        apply_transform(frame, FrameTransform("pixel_mask", 1)) != apply_transform(frame, FrameTransform("pixel_mask", 2))
    ).any()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="'swirl': unknown"):
        apply_transform(numbered_frame(1), FrameTransform("swirl"))
