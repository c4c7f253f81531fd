"""Views as files, for trainers that read files: H.264 mp4 at the view's clock, or one JPEG per slot. Written by rename, checked first."""

import os
import shutil
import uuid
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from vtalign.errors import VideoError
from vtalign.video.limits import DecodeLimits
from vtalign.video.probe import probe
from vtalign.video.readers import read_frames

# Every frame is a key frame: a reader that seeks badly still lands on the right one, and shuffled frames have
# little in common that inter prediction could use. crf 10: no difference to be seen.
_OPTIONS = {"crf": "10", "preset": "medium", "g": "1", "bf": "0"}
_BT601 = 6  # AVCOL_SPC_SMPTE170M; what readers assume of an untagged file, so that tagged and assumed are the same
_SAME = 4.0  # mean absolute difference (0..255) that encoding may make
_SHIFTED = 0.25  # of the difference to a neighbour: what shows it better than its own slot


def write_video(path: Path, frames: np.ndarray, fps: float) -> None:
    """`frames` uint8 (T, H, W, 3), H and W even, as `path` (.mp4): T frames, `fps` a second, decoded again and compared.

    Raises VideoError `render_differs` where what is read back is not what was to be written.
    """
    temporary = _partial(path)
    try:
        _encode(temporary, frames, fps)
        check_video(temporary, frames, fps)
        _sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_images(folder: Path, frames: np.ndarray) -> None:
    """`frames` uint8 (T, H, W, 3) as `folder`/00000.jpg .., in the order of the slots; the folder appears whole."""
    temporary = _partial(folder)
    temporary.mkdir(parents=True)
    try:
        for number, frame in enumerate(frames):
            # 4:4:4 at 95: thin coloured things keep their edges
            Image.fromarray(frame).save(temporary / image_name(number), quality=95, subsampling=0)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def image_name(slot: int) -> str:
    return f"{slot:05d}.jpg"


def _encode(path: Path, frames: np.ndarray, fps: float) -> None:
    rate = Fraction(fps).limit_denominator(1_000_000)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=_OPTIONS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = 1 / rate
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, ColorRange.MPEG
        for number, rgb in enumerate(frames):
            frame = _as_encoded(rgb)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _as_encoded(rgb: np.ndarray) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG)


def check_video(path: Path, frames: np.ndarray, fps: float) -> None:
    """Count, clock, and every frame of the file: like its own slot, and not more like the one before or after it.

    Raises VideoError, `render_differs` where it shows anything else.
    """
    limits = DecodeLimits()
    info = probe(path, limits)
    if info.frames != len(frames) or (info.height, info.width) != frames.shape[1:3]:
        shape = f"{info.frames} frames of {info.width}x{info.height}"
        raise VideoError(str(path), "render_differs", f"{shape} were written, {len(frames)} of {frames.shape[2::-1]} asked")
    late = max(abs(time - slot / fps) for slot, time in enumerate(info.times))
    if late > 0.1 / fps:
        raise VideoError(str(path), "render_differs", f"frames are up to {late:.3f} s off the view's clock")
    decoded = read_frames(path, range(len(frames)), None, limits)
    for slot, shown in enumerate(decoded):
        own = _distance(shown, frames[slot])
        near = [_distance(shown, frames[k]) for k in (slot - 1, slot + 1) if 0 <= k < len(frames)]
        if own > _colour_loss(frames[slot]) + _SAME or any(other < own * _SHIFTED for other in near):
            raise VideoError(str(path), "render_differs", f"frame {slot} is not the one that was written (off by {own:.1f})")


def _colour_loss(rgb: np.ndarray) -> float:
    """What half the colour resolution alone costs (much in noise, next to nothing in pictures)."""
    return _distance(_as_encoded(rgb).to_ndarray(format="rgb24"), rgb)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")


def _sync(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
