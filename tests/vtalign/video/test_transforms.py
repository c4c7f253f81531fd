"""Frame transforms: seeded, of the same shape, never in place."""

import numpy as np
import pytest

from vtalign.errors import InputError
from vtalign.video.registry import FRAME_TRANSFORMS
from vtalign.video.transforms import apply_transform
from vtalign.video.view import FrameTransform, Slot, VideoView

from .numbered_clips import numbered_frame


@pytest.mark.parametrize("name", FRAME_TRANSFORMS)
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


def test_the_default_strength_is_not_written() -> None:
    """So that ids of views that were made before there were strengths stay what they were."""
    assert FrameTransform("noise", 3).to_dict() == {"name": "noise", "seed": 3}
    strong = FrameTransform("noise", 3, 8)
    assert strong.to_dict() == {"name": "noise", "seed": 3, "strength": 8}
    assert FrameTransform.from_dict(strong.to_dict()) == strong
    assert FrameTransform.from_dict({"name": "noise", "seed": 3, "strength": None}) == FrameTransform("noise", 3)
    view = VideoView((Slot("video-a", 1, 0.0, FrameTransform("noise", 3)),), 2.0)
    assert view.view_id == "view-01baffce92874014"
