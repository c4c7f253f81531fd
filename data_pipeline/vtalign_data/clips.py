"""Stage 4, clips: where one clip of a view ends and the next begins, as slot bounds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from vtalign.errors import VideoError
from vtalign.video.isolated import DecodeWorkers, ReadRequest
from vtalign.video.sample import fitted_size
from vtalign.video.segments import Segments
from vtalign.video.view import VideoView
from vtalign_data import views
from vtalign_data.config import ClipConfig
from vtalign_data.stage import BatchResult, Rejected, Row

SEGMENTS = pa.list_(pa.struct([("start", pa.int64()), ("stop", pa.int64())]))
SCHEMA = views.SCHEMA.append(pa.field("segments", SEGMENTS))

_DETECT_PIXELS = 16384  # a cut changes the whole picture: 128 x 128 pixels show it
_DETECT_FRAMES = 4096  # frames of one video that are held at once for detection (about 200 MB)


def uniform_clips(view: VideoView, config: ClipConfig) -> Segments:
    """Clips of `config.seconds` on the view's clock; slot k starts at k / fps whatever the true times wobble by."""
    edges = [0]
    for slot in range(1, len(view)):
        # a hair of tolerance: slot times are rounded
        if slot / view.fps >= len(edges) * config.seconds - 1e-6:
            edges.append(slot)
    return _bounds(edges, len(view), config.min_slots)


def scene_clips(view: VideoView, cuts: Sequence[int], config: ClipConfig) -> Segments:
    """Clips between `cuts` (ordinals of first frames of scenes): a clip begins at the first slot that shows its scene."""
    frames = [slot.frame for slot in view.slots]
    edges = {0}
    for cut in cuts:
        edges.add(next((slot for slot, frame in enumerate(frames) if frame is not None and frame >= cut), 0))
    return _bounds(sorted(edges), len(view), config.min_slots)


def find_cuts(frames: NDArray[np.uint8], ordinals: Sequence[int], threshold: float) -> list[int]:
    """Ordinals at which a new scene begins. `frames` is uint8 RGB (N, H, W, 3), `ordinals` (N) their place in the file."""
    detector = ContentDetector(threshold=threshold, min_scene_len=1)
    cuts: list[int] = []
    for number, frame in enumerate(frames):
        # the detector counts frames only; the rate of its timecode plays no role
        found = detector.process_frame(FrameTimecode(number, 25.0), np.ascontiguousarray(frame[:, :, ::-1]))
        cuts.extend(ordinals[cut.frame_num] for cut in found)
    return sorted(set(cuts))


def make_clips(
    rows: Sequence[Row], infos: Mapping[str, Row], config: ClipConfig, root: Path, workers: DecodeWorkers, reader: str
) -> BatchResult:
    """Clip bounds of one batch of views; videos with too few or too many clips are filtered. `infos`: ingest rows by video id."""
    result = BatchResult()
    cuts = _detect([infos[row["video_id"]] for row in rows], config, root, workers, reader) if config.method == "scenes" else {}
    for row in rows:
        view = VideoView.from_json(row["view"])
        found = cuts.get(row["video_id"], [])
        if isinstance(found, VideoError):
            result.rejected.append(Rejected(row["video"], "failed", found.reason, found.detail))
            continue
        segments = scene_clips(view, found, config) if config.method == "scenes" else uniform_clips(view, config)
        if not config.min_clips <= len(segments) <= config.max_clips:
            few = len(segments) < config.min_clips
            bound = f"needs {config.min_clips}" if few else f"at most {config.max_clips}"
            detail = f"{len(segments)} clip(s) in {len(view)} frames, {bound}"
            result.rejected.append(Rejected(row["video"], "filtered", "too_few_clips" if few else "too_many_clips", detail))
            continue
        result.rows.append({**row, "segments": [{"start": start, "stop": stop} for start, stop in segments]})
    return result


def segments_of(row: Row) -> Segments:
    return tuple((bound["start"], bound["stop"]) for bound in row["segments"])


def _bounds(edges: Sequence[int], length: int, min_slots: int) -> Segments:
    """Segments that begin at `edges`; one of fewer than `min_slots` joins the one before it (the first: the one after)."""
    kept = [0]
    for edge in edges[1:]:
        if edge - kept[-1] >= min_slots:
            kept.append(edge)
    if len(kept) > 1 and length - kept[-1] < min_slots:
        kept.pop()
    return tuple(zip(kept, [*kept[1:], length], strict=True))


def _detect(
    infos: Sequence[Row], config: ClipConfig, root: Path, workers: DecodeWorkers, reader: str
) -> dict[str, list[int] | VideoError]:
    """video_id -> cuts, or the error that reading it gave."""
    looked_at = [_looked_at(info["times"], config.detect_fps) for info in infos]
    requests = [
        ReadRequest(root / info["video"], ordinals, fitted_size(info["width"], info["height"], _DETECT_PIXELS, 2), reader)
        for info, ordinals in zip(infos, looked_at, strict=True)
    ]
    found: dict[str, list[int] | VideoError] = {}
    for info, ordinals, frames in zip(infos, looked_at, workers.map_read(requests), strict=True):
        if isinstance(frames, VideoError):
            found[info["video_id"]] = frames
        else:
            found[info["video_id"]] = find_cuts(frames, ordinals, config.threshold)
    return found


def _looked_at(times: Sequence[float], fps: float) -> list[int]:
    """Ordinals at about `fps` (all where the video has no more), evenly thinned where they would be too many to hold."""
    chosen, due = [], 0.0
    for ordinal, time in enumerate(times):
        if time >= due - 1e-6:
            chosen.append(ordinal)
            due = max(due + 1 / fps, time + 0.5 / fps)
    step = -(-len(chosen) // _DETECT_FRAMES)
    return chosen[::step]
