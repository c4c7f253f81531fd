"""Frame strips: what a view shows, slot by slot, as inline pictures."""

import base64
import io
from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image

from vtalign.report.page import render

MAX_HEIGHT = 120
# Twice as high as a strip of eight draws them; a page may hold some hundreds.
SMALL_HEIGHT = 72
_QUALITY = 70


def frame_strip(
    title: str,
    frames: np.ndarray,
    captions: Sequence[str],
    segments: Sequence[int] | None = None,
    encode: Callable[[np.ndarray], str] | None = None,
) -> Markup:
    """`frames` uint8 (T, H, W, 3) with one caption each; `encode` makes a data address of one (default: `picture`).

    `segments`, where given, says of which segment of the clean view each frame is; frames of one segment carry one colour and
    number, so that a reader sees what moved. Raises ValueError where the lengths differ.
    """
    numbers = [None] * len(frames) if segments is None else list(segments)
    pictures = [(encode or picture)(frame) for frame in frames]
    return render("strip.html.j2", title=title, frames=list(zip(pictures, captions, numbers, strict=True)))


def picture(frame: np.ndarray) -> str:
    """One frame, uint8 (H, W, 3), as a PNG data address, at most `MAX_HEIGHT` pixels high."""
    return _address("png", _encoded(_fitted(frame, MAX_HEIGHT), "PNG"))


def small_picture(frame: np.ndarray) -> str:
    """One frame, uint8 (H, W, 3), in few bytes: at most `SMALL_HEIGHT` pixels high, PNG or JPEG, whichever is smaller."""
    image = _fitted(frame, SMALL_HEIGHT)
    exact, lossy = _encoded(image, "PNG"), _encoded(image, "JPEG")
    return _address("png", exact) if len(exact) <= len(lossy) else _address("jpeg", lossy)


def _fitted(frame: np.ndarray, height: int) -> Image.Image:
    image = Image.fromarray(frame)
    if image.height <= height:
        return image
    return image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, optimize=True, **({"quality": _QUALITY} if kind == "JPEG" else {}))
    return buffer.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
