"""Perceptual hashes of frames: the same footage under another name, size or encoding, cut, joined or reversed.

dHash (difference hash): the frame in grey at 9 x 8, one bit for each neighbour to the right that is brighter. Scaling, encoding and
brightness hardly move it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vtalign.errors import VideoError
from vtalign.video.isolated import DecodeWorkers, ReadRequest
from vtalign.video.pixels import resized
from vtalign.video.sample import FramePolicy, sample

Hashes = NDArray[np.uint64]

_GREY = np.array([0.299, 0.587, 0.114])  # Rec. 601 luma
_FLAT = 2.0  # standard deviation of grey values (0-255) below which a frame (black, a fade) looks like any other
DECODED_SIZE = (72, 64)  # width, height in pixels; a multiple of the hash's grid


def frame_hash(frame: NDArray[np.uint8]) -> np.uint64 | None:
    """dHash of a uint8 (H, W, 3) frame; None for a flat one."""
    grey = resized(frame, 9, 8) @ _GREY
    if grey.std() < _FLAT:
        return None
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return np.packbits(bits).view(np.uint64)[0]


def hash_videos(paths: Mapping[str, Path], frames: int, workers: DecodeWorkers) -> tuple[dict[str, Hashes], dict[str, str]]:
    """Hashes of evenly spread frames of each video (name -> path), and the reasons why the others could not be read."""
    policy = FramePolicy(count=frames)
    failures: dict[str, str] = {}
    requests: dict[str, ReadRequest] = {}
    for (name, path), info in zip(paths.items(), workers.map_probe(paths.values()), strict=True):
        if isinstance(info, VideoError):
            failures[name] = info.reason
        else:
            shown = {slot.frame for slot in sample(info, policy).slots if slot.frame is not None}
            requests[name] = ReadRequest(path, sorted(shown), DECODED_SIZE)
    hashes: dict[str, Hashes] = {}
    for name, decoded in zip(requests, workers.map_read(requests.values()), strict=True):
        if isinstance(decoded, VideoError):
            failures[name] = decoded.reason
        else:
            found = (frame_hash(frame) for frame in decoded)
            hashes[name] = np.array([value for value in found if value is not None], np.uint64)
    return hashes, failures
