"""Perceptual hashes of frames: the same footage under another name, size or encoding, cut, joined or reversed.

dHash (difference hash): the frame in grey at 9 x 8, one bit for each neighbour to the right that is brighter. Scaling, encoding and
brightness hardly move it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_DECODED = (72, 64)  # width, height in pixels; a multiple of the hash's grid


@dataclass(frozen=True)
class FrameMatch:
    """Two videos that share frames. `share`: the larger one of the shares of either video's frames that the other has too."""

    video: str
    other: str
    share: float


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
            requests[name] = ReadRequest(path, sorted(shown), _DECODED)
    hashes: dict[str, Hashes] = {}
    for name, decoded in zip(requests, workers.map_read(requests.values()), strict=True):
        if isinstance(decoded, VideoError):
            failures[name] = decoded.reason
        else:
            found = (frame_hash(frame) for frame in decoded)
            hashes[name] = np.array([value for value in found if value is not None], np.uint64)
    return hashes, failures


def frame_matches(
    videos: Mapping[str, Hashes], others: Mapping[str, Hashes], max_distance: int, min_share: float
) -> list[FrameMatch]:
    """Pairs of videos that share at least `min_share` of the frames of one of them, and two frames or more."""
    kept = {name: hashes for name, hashes in others.items() if len(hashes) >= 2}
    if not kept:
        return []
    joined = np.concatenate(list(kept.values()))
    starts = np.cumsum([0, *(len(hashes) for hashes in kept.values())])[:-1]
    matches = []
    for name, hashes in videos.items():
        if len(hashes) < 2:
            continue
        near = np.bitwise_count(hashes[:, None] ^ joined[None, :]) <= max_distance
        in_other = np.logical_or.reduceat(near, starts, axis=1).sum(0)
        in_video = np.add.reduceat(near.any(0), starts, dtype=np.int64)
        for other, ours, theirs in zip(kept, in_other, in_video, strict=True):
            share = _share(int(ours), len(hashes), int(theirs), len(kept[other]))
            if share >= min_share:
                matches.append(FrameMatch(name, other, share))
    return matches


def _share(ours: int, of_ours: int, theirs: int, of_theirs: int) -> float:
    """One frame alone (a title card, a test picture) is no common footage."""
    shares: Sequence[float] = [found / total for found, total in ((ours, of_ours), (theirs, of_theirs)) if found >= 2]
    return max(shares, default=0.0)
