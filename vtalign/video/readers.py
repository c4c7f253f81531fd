"""Readers of frames by index. Any of them is only ever asked for rising indices; order is made in memory."""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame

from vtalign.errors import InputError, VideoError
from vtalign.video.container import open_video
from vtalign.video.forward import Tally, decode_forward
from vtalign.video.pixels import FramePixels, TargetSize, resized, target_size
from vtalign.video.seeking import LandedWrong, decode_at, is_long, packet_index

if TYPE_CHECKING:
    from vtalign.video.limits import DecodeLimits

Places = dict[int, list[int]]
"""Ordinal of a frame -> the numbers of the sets that hold it."""
Gathered = list[list[np.ndarray]]
"""The frames of each set, uint8 (H, W, 3), in order; fewer than were asked for where the video ends early."""


class WantedFrames(NamedTuple):
    """Frames `indices` (decoded ordinals, strictly rising) in one size."""

    indices: Sequence[int]
    size: TargetSize


def read_frames(path: Path, indices: Sequence[int], size: TargetSize, limits: "DecodeLimits", reader: str = "pyav") -> np.ndarray:
    """uint8 (N, H, W, 3): `read_sets` of one set."""
    [frames] = read_sets(path, [WantedFrames(indices, size)], limits, reader)
    return frames


def read_sets(path: Path, sets: Sequence[WantedFrames], limits: "DecodeLimits", reader: str = "pyav") -> list[np.ndarray]:
    """uint8 (N, H, W, 3) for each of the sets: frames of one video in this process, all of one pass over it.

    Raises VideoError, InputError for a reader that is not there, ValueError for indices that do not rise.
    """
    check_reader(reader)
    for indices, _ in sets:
        check_indices(indices)
    gathered = READERS[reader](path, sets, limits)
    for frames, (indices, _) in zip(gathered, sets, strict=True):
        if len(frames) < len(indices):
            raise VideoError(str(path), "frame_missing", f"frame {indices[len(frames)]} is beyond the last one ({reader})")
    return [np.stack(frames) for frames in gathered]


def check_indices(indices: Sequence[int]) -> None:
    if not len(indices) or indices[0] < 0 or any(b <= a for a, b in pairwise(indices)):
        raise ValueError("indices must be given, not negative and strictly rising")


def check_reader(reader: str) -> None:
    """Raises InputError where `reader` is unknown or its package is not installed."""
    if reader not in READERS:
        raise InputError(f"reader '{reader}': unknown (known: {', '.join(READERS)})")
    if reader == "decord" and importlib.util.find_spec("decord") is None:
        raise InputError("reader 'decord': the package is not installed (pip install decord; x86-64 only), or use reader 'pyav'")


def _read_pyav(path: Path, sets: Sequence[WantedFrames], limits: "DecodeLimits") -> Gathered:
    places = _places(sets)
    with open_video(path, limits) as video:
        index = packet_index(video, Tally()) if is_long(video, limits) else None
        if index is not None and max(places) < len(index.pts):
            try:
                return converted(decode_at(video, index, sorted(places), limits), sets)
            except LandedWrong:
                pass  # read forward below, which needs no seek
    with open_video(path, limits) as video:
        return converted(_until(enumerate(decode_forward(video, limits)), max(places)), sets)


def converted(frames: Iterable[tuple[int, VideoFrame]], sets: Sequence[WantedFrames]) -> Gathered:
    """`frames`: with their ordinals, rising; those that no set holds are not converted."""
    places, pixels, gathered = _places(sets), FramePixels([size for _, size in sets]), _nothing(sets)
    for ordinal, frame in frames:
        pixels.see(frame)
        if ordinal in places:
            for number, rgb in zip(places[ordinal], pixels.rgb(frame, places[ordinal]), strict=True):
                gathered[number].append(rgb)
    return gathered


def _until(frames: Iterable[tuple[int, VideoFrame]], last: int) -> Iterator[tuple[int, VideoFrame]]:
    for ordinal, frame in frames:
        yield ordinal, frame
        if ordinal == last:
            return


def _places(sets: Sequence[WantedFrames]) -> Places:
    places: Places = {}
    for number, (indices, _) in enumerate(sets):
        for ordinal in indices:
            places.setdefault(int(ordinal), []).append(number)
    return places


def _nothing(sets: Sequence[WantedFrames]) -> Gathered:
    return [[] for _ in sets]


def _read_opencv(path: Path, sets: Sequence[WantedFrames], limits: "DecodeLimits") -> Gathered:
    with open_video(path, limits):
        pass  # its checks: OpenCV would open playlists and fetch what they name
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    places, gathered = _places(sets), _nothing(sets)
    try:
        for ordinal in range(max(places) + 1):
            if not capture.grab():
                break
            if ordinal in places:
                read, bgr = capture.retrieve()
                if not read:
                    break
                rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
                for number in places[ordinal]:
                    gathered[number].append(_shaped(rgb, sets[number].size))
    finally:
        capture.release()
    return gathered


def _read_decord(path: Path, sets: Sequence[WantedFrames], limits: "DecodeLimits") -> Gathered:
    try:
        import decord
    except (ImportError, OSError) as error:
        raise InputError(f"reader 'decord': cannot be loaded ({error}); use reader 'pyav'") from None
    with open_video(path, limits):
        pass  # its checks, as above
    decord.logging.set_level(decord.logging.QUIET)
    places, gathered = _places(sets), _nothing(sets)
    try:
        video = decord.VideoReader(str(path), num_threads=1)
        held = [ordinal for ordinal in sorted(places) if ordinal < len(video)]
        batch = video.get_batch(held).asnumpy() if held else []
    except (decord.DECORDError, RuntimeError) as error:
        raise VideoError(str(path), "corrupt", f"decord: {_decord_said(error)}") from None
    for ordinal, rgb in zip(held, batch, strict=True):
        for number in places[ordinal]:
            gathered[number].append(_shaped(rgb, sets[number].size))
    return gathered


def _decord_said(error: Exception) -> str:
    """The message without its time, source line and stack."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return first.split(": ", 1)[-1][:200]


def _shaped(rgb: np.ndarray, size: TargetSize) -> np.ndarray:
    return resized(rgb, *target_size(rgb.shape[1], rgb.shape[0], size))


READERS: dict[str, Callable[[Path, Sequence[WantedFrames], "DecodeLimits"], Gathered]] = {
    "pyav": _read_pyav,
    "opencv": _read_opencv,
    "decord": _read_decord,
}
