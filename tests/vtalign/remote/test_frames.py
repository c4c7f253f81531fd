import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vtalign.models.prompt import Prompt
from vtalign.remote.config import ImageFormat
from vtalign.remote.frames import data_url, user_message, view_images
from vtalign.video.view import Slot, VideoView


class Ramps:
    """A frame source: frame n is a ramp that starts at brightness 20 n; blanks are black."""

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        across = np.linspace(0, 60, 40, dtype=np.uint8)[None, :, None]
        rows = [np.zeros((32, 40, 3)) if s.frame is None else np.full((32, 40, 3), 20 * s.frame) + across for s in view.slots]
        return np.stack(rows).astype(np.uint8)


def decoded(url: str) -> NDArray[np.uint8]:
    head, _, data = url.partition(",")
    assert head in ("data:image/jpeg;base64", "data:image/png;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def view_of(*frames: int | None) -> VideoView:
    return VideoView(tuple(Slot("v", frame, number / 2) for number, frame in enumerate(frames)), 2.0)


@pytest.mark.parametrize(("image_format", "error"), [("jpeg", 3), ("png", 0)])
def test_one_image_per_slot_in_slot_order(image_format: ImageFormat, error: int) -> None:
    view = view_of(3, 3, 0, None, 5)
    images = [decoded(url) for url in view_images(view, Ramps(), image_format)]
    assert len(images) == 5
    for image, frame in zip(images, Ramps().frames(view), strict=True):
        assert np.abs(image.astype(int) - frame).max() <= error


def test_the_format_is_what_it_says() -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    for image_format in ("jpeg", "png"):
        data = base64.b64decode(data_url(frame, image_format).partition(",")[2])
        assert Image.open(io.BytesIO(data)).format == image_format.upper()


def test_parts_keep_their_places() -> None:
    first, second = view_of(0, 1), view_of(2)
    images = {first: ["a", "b"], second: ["c"]}
    message = user_message(Prompt(("before", first, "between", second, "after ?")), images)
    assert message["role"] == "user"
    said = [part["text"] if part["type"] == "text" else part["image_url"]["url"] for part in message["content"]]
    assert said == ["before", "a", "b", "between", "c", "after ?"]


def test_a_text_alone_is_plain_text() -> None:
    assert user_message(Prompt(("which ?",)), {}) == {"role": "user", "content": "which ?"}
