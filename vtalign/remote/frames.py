"""A `Prompt` as one user message: texts in their places, every slot of a view as an image of its own, in slot order."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource
from vtalign.remote.config import ImageFormat
from vtalign.video.view import VideoView

_JPEG_QUALITY = 95


def user_message(prompt: Prompt, images: dict[VideoView, list[str]]) -> dict[str, Any]:
    """The message in OpenAI's layout; `images`: data URLs of the slots of each view. A text alone is sent as plain text, which
    servers of text models take as well. The times of the slots are not sent."""
    content: list[dict[str, Any]] = []
    for part in prompt.parts:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
        else:
            content += [{"type": "image_url", "image_url": {"url": url}} for url in images[part]]
    alone = len(content) == 1 and content[0]["type"] == "text"
    return {"role": "user", "content": content[0]["text"] if alone else content}


def view_images(view: VideoView, source: FrameSource, image_format: ImageFormat) -> list[str]:
    """A data URL for every slot, in slot order: held frames again and again, blanks black. Raises VideoError."""
    return [data_url(frame, image_format) for frame in source.frames(view)]


def data_url(frame: NDArray[np.uint8], image_format: ImageFormat) -> str:
    """uint8 (H, W, 3) as an image in a URL."""
    buffer = io.BytesIO()
    if image_format == "jpeg":
        Image.fromarray(frame).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling="4:4:4")  # colours are asked about
    else:
        Image.fromarray(frame).save(buffer, "PNG")
    return f"data:image/{image_format};base64,{base64.b64encode(buffer.getvalue()).decode()}"
