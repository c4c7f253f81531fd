"""What the built-in frame transforms do to pixels, and how a perturbation sets them."""

import cv2
import numpy as np
import pytest

from vtalign.errors import PerturbationError
from vtalign.video.image_space import blur, crop, mirror, noise, pixel_mask
from vtalign.video.perturb import PerturbationSpec, perturb, perturbations_for
from vtalign.video.transforms import apply_transform
from vtalign.video.view import FrameTransform, Slot, VideoView

from .numbered_clips import numbered_frame

FRAME = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
VIEW = VideoView(tuple(Slot("video-a", frame, index / 2) for index, frame in enumerate([0, 3, None, 6])), 2.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("strength", "rows", "columns"), [(4, 24, 32), (16, 12, 16), (2, 34, 45)])
def test_a_crop_is_an_enlarged_window(strength: int, rows: int, columns: int) -> None:
    """Of 1 / strength of the area: every window is looked up in the frame, enlarged, until one is the crop."""
    cropped = crop(FRAME, strength, rng())
    windows = [(top, left) for top in range(48 - rows + 1) for left in range(64 - columns + 1)]
    found = [
        (top, left)
        for top, left in windows
        if (
            cv2.resize(FRAME[top : top + rows, left : left + columns].copy(), (64, 48), interpolation=cv2.INTER_LINEAR_EXACT)
            == cropped
        ).all()
    ]
    assert len(found) == 1


def test_crops_lie_everywhere() -> None:
    ramp = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], (48, 64, 3)).copy()
    left = {int(crop(ramp, 4, rng(seed)).min()) // 4 for seed in range(200)}
    assert min(left) == 0 and max(left) == 32 and len(left) > 25


def variance(weights: np.ndarray) -> float:
    places = np.arange(len(weights))
    mean = (weights * places).sum() / weights.sum()
    return float((weights * (places - mean) ** 2).sum() / weights.sum())


def test_blur_is_a_gaussian_of_the_frame_size() -> None:
    """One white pixel becomes the bell itself: its variance is (strength * 64 / 128)^2 pixels."""
    point = np.zeros((64, 64, 3), np.uint8)
    point[28:36, 28:36] = 255  # a point would vanish in 8 bits
    weights = blur(point, 8, rng())[:, :, 0].astype(float).sum(axis=1)
    before = point[:, :, 0].astype(float).sum(axis=1)
    assert variance(weights) - variance(before) == pytest.approx(16, rel=0.1)
    assert np.abs(blur(cv2.resize(FRAME, (640, 480)), 4, rng()).std() - blur(FRAME, 4, rng()).std()) < 8, "whatever the size"


@pytest.mark.parametrize("strength", [2, 4])
def test_noise_of_so_many_levels(strength: int) -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    assert noise(grey, strength, rng()).std() == pytest.approx(8 * strength, rel=0.05)


@pytest.mark.parametrize(("strength", "share"), [(2, 0.15), (4, 0.3), (13, 0.975)])
def test_a_share_of_pixels_takes_the_mean(strength: int, share: float) -> None:
    masked = pixel_mask(FRAME, strength, rng())
    changed = (masked != FRAME).any(axis=2)
    assert changed.mean() == pytest.approx(share, abs=0.03)
    assert (masked[changed] == FRAME.reshape(-1, 3).mean(axis=0).astype(np.uint8)).all()


@pytest.mark.parametrize("name", ["blur", "noise", "pixel_mask"])
def test_stronger_is_further_from_the_frame(name: str) -> None:
    picture = cv2.GaussianBlur(FRAME, (0, 0), 2)  # neighbouring pixels of a picture are alike
    far = [
        np.mean([np.abs(apply_transform(picture, FrameTransform(name, s, r)).astype(float) - picture).mean() for s in range(8)])
        for r in (2, 4, 8, 13)
    ]
    assert far == sorted(far) and far[-1] > 1.2 * far[0]


def test_the_strength_that_was_before_there_was_a_choice() -> None:
    """`noise` had a standard deviation of 32 and `pixel_mask` 30 %: views with them show what they showed."""
    frame = numbered_frame(37)
    noisy = np.clip(np.rint(frame + rng(5).normal(0.0, 32.0, frame.shape).astype(np.float32)), 0, 255).astype(np.uint8)
    assert (apply_transform(frame, FrameTransform("noise", 5)) == noisy).all()
    masked = frame.copy()
    masked[rng(5).random(frame.shape[:2]) < 0.3] = frame.reshape(-1, 3).mean(axis=0).astype(np.uint8)
    assert (apply_transform(frame, FrameTransform("pixel_mask", 5)) == masked).all()
    assert (mirror(frame, 4, rng()) == frame[:, ::-1]).all()


@pytest.mark.parametrize("name", ["crop", "blur", "noise", "pixel_mask", "mirror"])
def test_one_transform_for_all_frames_that_show_something(name: str) -> None:
    result = perturb(VIEW, PerturbationSpec(name=name, strength=8), seed=1)
    transforms = {slot.transform for slot in result.view.slots if slot.frame is not None}
    (transform,) = transforms
    assert transform is not None and transform.name == name and result.view.slots[2] == VIEW.slots[2]
    assert [(slot.video_id, slot.frame, slot.time) for slot in result.view.slots] == [
        (slot.video_id, slot.frame, slot.time) for slot in VIEW.slots
    ]
    assert result.parameters == {"transform": transform.to_dict()}
    again = perturb(VIEW, PerturbationSpec(name=name, strength=8), seed=2).view
    assert (again == result.view) == (name == "mirror"), "what is drawn follows the seed"


def test_a_still_can_be_blurred() -> None:
    still = VIEW.with_contents([1, 1, 1, 1])
    assert perturb(still, PerturbationSpec(name="blur", strength=2), seed=0).view.shown != still.shown


def test_strengths_tell_views_apart_but_of_a_mirror() -> None:
    asked = [PerturbationSpec(name=name, strength=r) for name in ("crop", "mirror") for r in (8, 2)]
    kept, refused = perturbations_for(VIEW, asked, None, 0)
    assert [result.spec.label for result in kept] == ["crop-8", "crop-2", "mirror-8"]
    assert refused[0][1] == "mirror-2: duplicate: shows the same as mirror-8"


def test_a_slot_holds_one_transform() -> None:
    blurred = perturb(VIEW, PerturbationSpec(name="blur", strength=2), seed=0).view
    with pytest.raises(PerturbationError, match="noise-2: transformed: "):
        perturb(blurred, PerturbationSpec(name="noise", strength=2), seed=0)


def test_a_view_of_blanks_shows_no_transform() -> None:
    with pytest.raises(PerturbationError, match="no_change"):
        perturb(VIEW.with_contents([2, 2, 2, 2]), PerturbationSpec(name="blur", strength=2), seed=0)
