"""Stage 4, clips: where one clip of a view ends and the next begins, as slot bounds, by its shots or by the clock."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from vtalign.video.segments import Segments
from vtalign.video.view import VideoView
from vtalign_data import views
from vtalign_data.config import ClipConfig
from vtalign_data.groups import group_labels, group_rule, runs_of, similarity_matrix
from vtalign_data.sharpness import sharpest
from vtalign_data.shots import Broken, count_rule
from vtalign_data.stage import BatchResult, Rejected, Row

SEGMENTS = pa.list_(pa.struct([("start", pa.int64()), ("stop", pa.int64())]))
SCHEMA = views.SCHEMA.append(pa.field("segments", SEGMENTS)).append(
    pa.field("key_frames", pa.list_(pa.int64()))  # ordinals; null where captions are asked of all frames
)
CLIP_RULES = ("too_few_clips", "too_many_clips")
"""Reasons for which a video is filtered by its clips on the view, in the order in which they are looked at."""


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


def shot_clips(view: VideoView, shots: Sequence[Row], config: ClipConfig) -> Segments | Broken:
    """Clips of a view by its shots (rows of stage 3, in order), or the rule that the video breaks.

    Neighbouring shots of one group are one clip. What lies between two clips (dropped shots) belongs to the clip before.
    """
    broken = count_rule([shot["end"] - shot["start"] for shot in shots], config.shots)
    if broken is not None:
        return broken
    if config.groups.merges:
        embeddings = np.asarray([shot["embedding"] for shot in shots], np.float32)
        labels = group_labels(similarity_matrix(embeddings), config.groups.threshold)
    else:
        labels = list(range(len(shots)))
    runs = runs_of(labels)
    broken = group_rule(runs, config.groups)
    if broken is not None:
        return broken
    segments = scene_clips(view, [shots[run.start]["first"] for run in runs[1:]], config)
    return bound_rule(segments, view, config) or segments


def bound_rule(segments: Segments, view: VideoView, config: ClipConfig) -> Broken | None:
    """Which rule says that a view of these clips is not used."""
    if len(segments) < config.min_clips:
        return Broken("too_few_clips", f"{len(segments)} clip(s) in {len(view)} frames, clips.min_clips is {config.min_clips}")
    if len(segments) > config.max_clips:
        return Broken("too_many_clips", f"{len(segments)} clip(s) in {len(view)} frames, clips.max_clips is {config.max_clips}")
    return None


def make_clips(
    rows: Sequence[Row], shots: Mapping[str, Sequence[Row]] | None, config: ClipConfig, *, or_uniform: bool
) -> BatchResult:
    """Clip bounds of one batch of views; videos that break a rule are filtered.

    `shots`: rows of stage 3 by video id, None for clips by the clock. `or_uniform`: a video whose shots break a rule has clips by
    the clock instead.
    """
    result = BatchResult()
    for row in rows:
        view = VideoView.from_json(row["view"])
        of_video = shots.get(row["video_id"], ()) if shots is not None else ()
        found: Segments | Broken | None = shot_clips(view, of_video, config) if shots is not None else None
        if found is None or (or_uniform and isinstance(found, Broken)):
            segments = uniform_clips(view, config)
            found = bound_rule(segments, view, config) or segments
        if isinstance(found, Broken):
            result.rejected.append(Rejected(row["video"], "filtered", found.reason, found.detail))
            continue
        bounds = [{"start": start, "stop": stop} for start, stop in found]
        result.rows.append({**row, "segments": bounds, "key_frames": _key_frames(view, found, of_video, config)})
    return result


def segments_of(row: Row) -> Segments:
    return tuple((bound["start"], bound["stop"]) for bound in row["segments"])


def told_clip(clip: VideoView, row: Row) -> VideoView:
    """The slots of `clip`, a part of the view of `row` or of a perturbed one, that its caption is asked of: those that show key
    frames where there are any, else all. The times of the slots stay.
    """
    keys = set(row.get("key_frames") or ())
    slots = tuple(slot for slot in clip.slots if slot.frame in keys and slot.video_id == row["video_id"])
    return VideoView(slots, clip.fps) if slots else clip


def _key_frames(view: VideoView, segments: Segments, shots: Sequence[Row], config: ClipConfig) -> list[int] | None:
    """The sharpest frames of every clip; none are known of dropped shots."""
    if config.frames == "view":
        return None
    known = {frame: score for shot in shots for frame, score in zip(shot["frames"], shot["sharpness"], strict=True)}
    chosen: set[int] = set()
    for start, stop in segments:
        slots = [(slot.frame, slot.time) for slot in view.slots[start:stop] if slot.frame is not None and slot.frame in known]
        begin, end = view.slots[start].time, view.slots[start].time + (stop - start) / view.fps
        picked = sharpest([known[frame] for frame, _ in slots], [time for _, time in slots], begin, end)
        chosen.update(slots[index][0] for index in picked)
    return sorted(chosen)


def _bounds(edges: Sequence[int], length: int, min_slots: int) -> Segments:
    """Segments that begin at `edges`; one of fewer than `min_slots` joins the one before it (the first: the one after)."""
    kept = [0]
    for edge in edges[1:]:
        if edge - kept[-1] >= min_slots:
            kept.append(edge)
    if len(kept) > 1 and length - kept[-1] < min_slots:
        kept.pop()
    return tuple(zip(kept, [*kept[1:], length], strict=True))
