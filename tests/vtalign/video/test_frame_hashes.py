import cv2
import numpy as np
import pytest

from vtalign.video.frame_hashes import frame_hash


def scene(seed: int) -> np.ndarray:
    """A picture of soft patches, uint8 (120, 160, 3)."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)


def test_the_bits_by_hand() -> None:
    ramp = np.repeat(np.linspace(0, 248, 9).astype(np.uint8)[None, :, None], 8, axis=0).repeat(3, axis=2)
    assert frame_hash(ramp) == np.uint64(2**64 - 1)
    assert frame_hash(ramp[:, ::-1].copy()) == np.uint64(0)
    assert frame_hash(np.full((20, 30, 3), 7, np.uint8)) is None


@pytest.mark.parametrize("gain", [0.6, 1.2])
def test_brightness_does_not_move_the_hash_far(gain: float) -> None:
    image = (scene(7) * 0.8).astype(np.uint8)
    changed = np.clip(image * gain, 0, 255).astype(np.uint8)
    assert np.bitwise_count(frame_hash(image) ^ frame_hash(changed)) <= 3  # type: ignore[operator]
