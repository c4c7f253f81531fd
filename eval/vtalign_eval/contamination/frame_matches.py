"""The same footage under another name, size or encoding, cut, joined or reversed: videos that share frames by their hashes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vtalign.video.frame_hashes import Hashes


@dataclass(frozen=True)
class FrameMatch:
    """Two videos that share frames. `share`: the larger one of the shares of either video's frames that the other has too."""

    video: str
    other: str
    share: float


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
