"""Frame strips: what a view shows, slot by slot, as inline pictures."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image

from vtalign.report.page import render

MAX_HEIGHT = 120


def frame_strip(title: str, frames: np.ndarray, captions: Sequence[str], segments: Sequence[int] | None = None) -> Markup:
    """`frames` uint8 (T, H, W, 3) with one caption each.

    `segments`, where given, says of which segment of the clean view each frame is; frames of one segment carry one colour and
    number, so that a reader sees what moved. Raises ValueError where the lengths differ.
    """
    numbers = [None] * len(frames) if segments is None else list(segments)
    pictures = [picture(frame) for frame in frames]
    return render("strip.html.j2", title=title, frames=list(zip(pictures, captions, numbers, strict=True)))


def picture(frame: np.ndarray) -> str:
    """One frame, uint8 (H, W, 3), as a PNG data address, at most `MAX_HEIGHT` pixels high."""
    image = Image.fromarray(frame)
    if image.height > MAX_HEIGHT:
        image = image.resize((max(1, round(image.width * MAX_HEIGHT / image.height)), MAX_HEIGHT), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
