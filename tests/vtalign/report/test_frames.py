"""Frame strips hold the very pixels, one picture a slot."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vtalign.report.frames import MAX_HEIGHT, SMALL_HEIGHT, frame_strip, picture, small_picture


def decoded(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))))


def test_small_frames_are_kept_as_they_are() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(picture(frame)), frame)


def test_large_frames_are_made_small() -> None:
    assert decoded(picture(np.zeros((480, 640, 3), np.uint8))).shape == (MAX_HEIGHT, 160, 3)


def test_segments_are_numbered_from_one_and_captions_escaped() -> None:
    strip = frame_strip("clean", np.zeros((2, 8, 8, 3), np.uint8), ["0.0 s", "<0.5>"], [1, 0])
    assert "<b>2</b> 0.0 s" in strip and "<b>1</b> &lt;0.5&gt;" in strip and strip.count("<img") == 2


def test_a_caption_too_few_is_an_error() -> None:
    with pytest.raises(ValueError):
        frame_strip("clean", np.zeros((2, 8, 8, 3), np.uint8), ["0.0 s"])


def test_small_pictures_take_the_smaller_encoding_and_are_never_large() -> None:
    flat, noise = np.full((480, 640, 3), 90, np.uint8), np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert small_picture(flat).startswith("data:image/png;") and small_picture(noise).startswith("data:image/jpeg;")
    image = Image.open(io.BytesIO(base64.b64decode(small_picture(noise).partition(",")[2])))
    assert image.size == (96, SMALL_HEIGHT) and len(small_picture(noise)) < 12_000
