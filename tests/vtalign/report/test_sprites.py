"""Every frame is found again where the page will look for it."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vtalign.report.sprites import sprite


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (8, 8, 1), (9, 8, 2), (2049, 9, 228)])
def test_cells_lie_row_by_row_and_do_not_colour_each_other(count: int, columns: int, rows: int) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (count, 3), dtype=np.uint8)
    drawn = sprite([np.full((16, 24, 3), colour, np.uint8) for colour in colours])
    assert (drawn["columns"], drawn["rows"], drawn["width"], drawn["height"]) == (columns, rows, 24, 16)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn["jpeg"]))))
    assert sheet.shape == (rows * 16, columns * 24, 3)
    for cell, colour in enumerate(colours):
        row, column = divmod(cell, columns)
        seen = sheet[row * 16 : (row + 1) * 16, column * 24 : (column + 1) * 24]
        assert np.abs(seen.astype(int) - colour).max() <= 8


def test_equal_frames_give_equal_bytes() -> None:
    frames = [np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)] * 3
    assert sprite(frames) == sprite(frames)
