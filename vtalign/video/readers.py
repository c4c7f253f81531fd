"""Readers of frames by index. Any of them is only ever asked for rising indices; order is made in memory."""

import importlib.util
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vtalign.errors import InputError, VideoError
from vtalign.video.container import open_video
from vtalign.video.forward import Tally, decode_forward
from vtalign.video.pixels import FramePixels, TargetSize, resized, target_size
from vtalign.video.seeking import LandedWrong, decode_at, is_long, packet_index

if TYPE_CHECKING:
    from vtalign.video.limits import DecodeLimits


def read_frames(path: Path, indices: Sequence[int], size: TargetSize, limits: "DecodeLimits", reader: str = "pyav") -> np.ndarray:
    """uint8 (N, H, W, 3): frames `indices` (decoded ordinals, strictly rising) of one video, in this process.

    Raises VideoError, InputError for a reader that is not there, ValueError for indices that do not rise.
    """
    check_reader(reader)
    check_indices(indices)
    frames = READERS[reader](path, indices, size, limits)
    if len(frames) < len(indices):
        raise VideoError(str(path), "frame_missing", f"frame {indices[len(frames)]} is beyond the last one ({reader})")
    return np.stack(frames)


def check_indices(indices: Sequence[int]) -> None:
    if not len(indices) or indices[0] < 0 or any(b <= a for a, b in pairwise(indices)):
        raise ValueError("indices must be given, not negative and strictly rising")


def check_reader(reader: str) -> None:
    """Raises InputError where `reader` is unknown or its package is not installed."""
    if reader not in READERS:
        raise InputError(f"reader '{reader}': unknown (known: {', '.join(READERS)})")
    if reader == "decord" and importlib.util.find_spec("decord") is None:
        raise InputError("reader 'decord': the package is not installed (pip install decord; x86-64 only), or use reader 'pyav'")


def _read_pyav(path: Path, indices: Sequence[int], size: TargetSize, limits: "DecodeLimits") -> list[np.ndarray]:
    with open_video(path, limits) as video:
        index = packet_index(video, Tally()) if is_long(video, limits) else None
        if index is not None and indices[-1] < len(index.pts):
            pixels = FramePixels(size)
            try:
                return [pixels.rgb(frame) for _, frame in decode_at(video, index, indices, limits)]
            except LandedWrong:
                pass  # read forward below, which needs no seek
    return _read_forward(path, indices, size, limits)


def _read_forward(path: Path, indices: Sequence[int], size: TargetSize, limits: "DecodeLimits") -> list[np.ndarray]:
    wanted, pixels, frames = set(indices), FramePixels(size), []
    with open_video(path, limits) as video:
        for ordinal, frame in enumerate(decode_forward(video, limits)):
            if ordinal in wanted:
                frames.append(pixels.rgb(frame))
            if len(frames) == len(indices):
                break
    return frames


def _read_opencv(path: Path, indices: Sequence[int], size: TargetSize, limits: "DecodeLimits") -> list[np.ndarray]:
    with open_video(path, limits):
        pass  # its checks: OpenCV would open playlists and fetch what they name
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    wanted, frames = set(indices), []
    try:
        for ordinal in range(indices[-1] + 1):
            if not capture.grab():
                break
            if ordinal in wanted:
                read, bgr = capture.retrieve()
                if not read:
                    break
                frames.append(_shaped(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), size))
    finally:
        capture.release()
    return frames


def _read_decord(path: Path, indices: Sequence[int], size: TargetSize, limits: "DecodeLimits") -> list[np.ndarray]:
    try:
        import decord
    except (ImportError, OSError) as error:
        raise InputError(f"reader 'decord': cannot be loaded ({error}); use reader 'pyav'") from None
    with open_video(path, limits):
        pass  # its checks, as above
    decord.logging.set_level(decord.logging.QUIET)
    try:
        video = decord.VideoReader(str(path), num_threads=1)
        held = [i for i in indices if i < len(video)]
        batch = video.get_batch(held).asnumpy() if held else []
    except (decord.DECORDError, RuntimeError) as error:
        raise VideoError(str(path), "corrupt", f"decord: {_decord_said(error)}") from None
    return [_shaped(frame, size) for frame in batch]


def _decord_said(error: Exception) -> str:
    """The message without its time, source line and stack."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return first.split(": ", 1)[-1][:200]


def _shaped(rgb: np.ndarray, size: TargetSize) -> np.ndarray:
    return resized(rgb, *target_size(rgb.shape[1], rgb.shape[0], size))


READERS: dict[str, Callable[[Path, Sequence[int], TargetSize, "DecodeLimits"], list[np.ndarray]]] = {
    "pyav": _read_pyav,
    "opencv": _read_opencv,
    "decord": _read_decord,
}
