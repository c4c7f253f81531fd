"""What videos hold, remembered beside their frames: whoever shows a video again needs no pass over it to sample it."""

import contextlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from vtalign.errors import VideoError
from vtalign.ids import stable_id
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.probe import VideoInfo


class ProbeCache:
    """One JSON file per video in the folder of a frame cache, good for as long as path, size and time of the video stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "probes-v1"

    def get(self, video: Path) -> VideoInfo | None:
        """None for a video that is not known, or that has changed."""
        try:
            return VideoInfo.from_dict(json.loads(self._entry(video).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, video: Path, info: VideoInfo) -> None:
        """Remember `info`; where the disk has no room, or the video is gone, it is not remembered."""
        with contextlib.suppress(OSError):
            entry = self._entry(video)
            entry.parent.mkdir(parents=True, exist_ok=True)
            partial = entry.with_name(f".{entry.name}.{uuid.uuid4().hex[:8]}.partial")
            try:
                # not synced, like the frames: what a power cut tears is probed again
                partial.write_text(json.dumps(info.to_dict()), encoding="utf-8")
                os.replace(partial, entry)
            finally:
                partial.unlink(missing_ok=True)

    def _entry(self, video: Path) -> Path:
        status = video.stat()
        name = stable_id("probe", str(video.resolve()), status.st_size, status.st_mtime_ns)
        return self._folder / name[-2:] / f"{name}.json"


def probe_all(videos: Iterable[Path], workers: DecodeWorkers, cache: ProbeCache | None) -> Iterator[VideoInfo | VideoError]:
    """One result per video, in order; errors are returned. Those that `cache` knows cost no pass, the others are put into it."""
    listed = list(videos)
    known = [cache.get(video) if cache is not None else None for video in listed]
    probed = workers.map_probe(video for video, info in zip(listed, known, strict=True) if info is None)
    for video, info in zip(listed, known, strict=True):
        if info is not None:
            yield info
            continue
        result = next(probed)
        if cache is not None and not isinstance(result, VideoError):
            cache.put(video, result)
        yield result
