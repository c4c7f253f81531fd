"""A video's distinct frames as one small picture, which all strips of that video share."""

import base64
import io
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from PIL import Image

_COLUMNS = 8
_MAX_ROWS = 256  # a JPEG is at most 65,535 pixels high
_QUALITY = 70


class Sprite(TypedDict):
    """Frames side by side, row by row: cell k is at column k % columns. `jpeg` is base64; sizes of one cell in pixels."""

    jpeg: str
    columns: int
    rows: int
    width: int
    height: int


def sprite(frames: Sequence[np.ndarray]) -> Sprite:
    """`frames`: one or more uint8 (H, W, 3) of one size, drawn as they are; multiples of 8 pixels do not bleed into each other."""
    height, width = frames[0].shape[:2]
    columns = max(min(_COLUMNS, len(frames)), -(-len(frames) // _MAX_ROWS))
    rows = -(-len(frames) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, frame in enumerate(frames):
        row, column = divmod(index, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = frame
    buffer = io.BytesIO()
    # 4:4:4: with halved colour, the blocks of a JPEG are 16 pixels wide and neighbours would colour each other
    Image.fromarray(sheet).save(buffer, format="JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return {
        "jpeg": base64.b64encode(buffer.getvalue()).decode(),
        "columns": columns,
        "rows": rows,
        "width": width,
        "height": height,
    }
