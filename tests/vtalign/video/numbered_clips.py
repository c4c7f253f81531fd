"""Video files in which every frame carries its own number, so that no reader has to be believed."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_BITS, _BLOCK = 9, 16  # a 3 x 3 grid of 16-pixel blocks in the top left corner
WIDTH, HEIGHT = 96, 64


def numbered_frame(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 RGB (height, width, 3): the number's bits as black and white blocks, and a moving bar that gives encoders work."""
    frame = np.full((height, width, 3), 110, np.uint8)
    left = 48 + (number * 3) % max(1, width - 56)
    frame[:, left : left + 8] = (220, 60, 40)
    for bit in range(_BITS):
        y, x = bit // 3 * _BLOCK, bit % 3 * _BLOCK
        frame[y : y + _BLOCK, x : x + _BLOCK] = 255 if number >> bit & 1 else 0
    return frame


def number_of(frame: np.ndarray) -> int:
    """The number that a (resized, but not turned) frame carries."""
    step_y, step_x = frame.shape[0] * _BLOCK / HEIGHT, frame.shape[1] * _BLOCK / WIDTH
    bits = 0
    for bit in range(_BITS):
        y, x = (bit // 3 + 0.5) * step_y, (bit % 3 + 0.5) * step_x
        bits |= int(frame[int(y), int(x)].mean() > 127) << bit
    return bits


def write_numbered(
    path: Path,
    frames: int = 60,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    rate: int = 10,
    times: Sequence[float] | None = None,
    pixel_format: str = "yuv420p",
    muxing: dict[str, str] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Path:
    """Write frames 0, 1, .. at `rate`, or at the given presentation times (seconds)."""
    with av.open(str(path), "w", options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=rate, options={"threads": "1", **(options or {})})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        ticks = 1000 if times is not None else rate
        stream.codec_context.time_base = Fraction(1, ticks)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, *size), format="rgb24")
            frame.pts = round(times[number] * ticks) if times is not None else number
            frame.time_base = Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_resized(path: Path, parts: Sequence[tuple[tuple[int, int], int]]) -> Path:
    """Write frames 0, 1, .. of a transport stream whose pictures change their size, as adaptive streams do: (size, frames) of each part."""
    rate = Fraction(1, 25)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        (stream.width, stream.height), stream.pix_fmt = parts[0][0], "yuv420p"
        stream.codec_context.time_base = rate
        number = 0
        for (width, height), frames in parts:
            coder = av.CodecContext.create("libx264", "w")
            coder.width, coder.height, coder.pix_fmt, coder.time_base, coder.framerate = width, height, "yuv420p", rate, 25
            coder.options = {"threads": "1", "bf": "0"}
            packets = []
            for _ in range(frames):
                frame = av.VideoFrame.from_ndarray(numbered_frame(number, width, height), format="rgb24")
                frame.pts, frame.time_base = number, rate
                packets += coder.encode(frame)
                number += 1
            for packet in [*packets, *coder.encode(None)]:
                packet.stream = stream
                container.mux(packet)
    return path
