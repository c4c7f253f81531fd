"""From the videos of a benchmark to what the model is shown of each, or the reason why it cannot be shown."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vtalign.errors import PerturbationError, VideoError
from vtalign.ids import file_hash, stable_id
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.paths import confined
from vtalign.video.probe_cache import ProbeCache, probe_all
from vtalign.video.sample import FramePolicy, sample
from vtalign.video.view import VideoView
from vtalign_eval.config import Control
from vtalign_eval.controls import controlled


@dataclass
class ShownVideos:
    """Views by video path (None: no video is shown), failures by video path, and the paths behind video ids.

    `unchanged`: videos that the control could not change (stills); they are shown as they are and counted.
    """

    views: dict[str, VideoView | None] = field(default_factory=dict)
    failures: dict[str, VideoError] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)


def video_hashes(data: Path, videos: Iterable[str]) -> dict[str, str | None]:
    """SHA-256 of each video file; None where it cannot be read (prediction says why)."""

    def one(video: str) -> str | None:
        try:
            return file_hash(confined(data, video))
        except (VideoError, OSError):
            return None

    return {video: one(video) for video in sorted(set(videos))}


def hash_of_all(hashes: dict[str, str | None]) -> str:
    """One id for the bytes of all videos."""
    return stable_id("videos", sorted(hashes.items()))


def show(
    data: Path,
    videos: Sequence[str],
    policy: FramePolicy,
    control: Control,
    seed: int,
    workers: DecodeWorkers,
    on_done: Callable[[int], None],
    cache: Path | None = None,
) -> ShownVideos:
    """Probe `videos` (paths relative to `data`) and make their views. A video that cannot be read is a failure, not an error.

    `cache`: folder of the frame cache, which remembers probes too.
    """
    shown, readable = ShownVideos(), []
    if control == "text":
        shown.views = dict.fromkeys(videos)
        on_done(len(videos))
        return shown
    for video in videos:
        try:
            readable.append((video, confined(data, video)))
        except VideoError as error:
            shown.failures[video] = error
            on_done(1)
    probed = probe_all([path for _, path in readable], workers, ProbeCache(cache) if cache is not None else None)
    for (video, _), info in zip(readable, probed, strict=True):
        if isinstance(info, VideoError):
            shown.failures[video] = info
        else:
            view = sample(info, policy)
            shown.paths[info.video_id] = video
            try:
                shown.views[video] = controlled(view, control, seed, policy)
            except PerturbationError:
                shown.views[video] = view
                shown.unchanged.append(video)
        on_done(1)
    return shown
