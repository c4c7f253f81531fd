"""Stage 3, shots: one pass over each video gives its cuts, and of every shot what the rules, the groups and the captions need.

Cuts, grey range, embedding of the middle frame and sharpness all come from the frames of this pass, and where there is a frame
cache so do the frames that later stages show; nothing is decoded twice. Where ingest could be ahead of it (`shots_ahead`), there is
no pass left to make.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vtalign.errors import VideoError
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import FrameSet
from vtalign.video.pixels import Sketch, resized
from vtalign.video.sample import fitted_size
from vtalign.video.view import VideoView
from vtalign_data.clips import make_clips
from vtalign_data.config import ClipConfig
from vtalign_data.cuts import TRANSNET_SIZE, adaptive_cuts, check_transnet, transnet_cuts
from vtalign_data.embed import FrameEncoder, check_encoder
from vtalign_data.known_shots import KnownShots
from vtalign_data.sharpness import sharpness
from vtalign_data.shots import Shot, count_rule, middle, shot_rule, shots_between
from vtalign_data.stage import BatchResult, Rejected, Row

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("video", pa.string()),
        ("number", pa.int64()),
        ("first", pa.int64()),
        ("stop", pa.int64()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("grey_range", pa.int64()),
        ("embedding", pa.list_(pa.float32())),  # null where a rule on the shots of the video came first
        ("frames", pa.list_(pa.int64())),  # those of the view, where captions are asked of sharp frames
        ("sharpness", pa.list_(pa.float64())),
    ]
)

_DETECT_PIXELS = 16384  # a cut changes the whole picture: 128 x 128 pixels show it
_DETAIL_PIXELS = 65536  # what image models and the sharpness of a frame need more of: 256 x 256
_HELD_BYTES = 200 * 2**20  # frames of one video that are held at once


def check_shot_tools(config: ClipConfig) -> None:
    """Raises InputError, before anything is read, where what the config names is not there."""
    if config.method == "transnetv2":
        check_transnet()
    if config.method != "uniform":
        check_encoder(config.groups)


def make_shots(
    rows: Sequence[Row],
    config: ClipConfig,
    store: FrameStore,
    encoder: FrameEncoder | None,
    device: str = "cpu",
    all_shown: bool = False,
    known: KnownShots | None = None,
) -> BatchResult:
    """The shots of one batch of views that keep the rules on shots; the others are losses, and so are videos that cannot be read.

    `rows`: with what ingest knows of the videos (`ViewedVideos`). `encoder`: None where shots are not grouped. Into the cache of
    `store` go the views of the videos whose shots make clips, or of all of them (`all_shown`): the others are not looked at again,
    and are most videos. `known`: shots that the pass of ingest has found, of videos that need none here.
    """
    of_video: dict[str, BatchResult] = {}
    for row in rows:
        found = known.get(row["video_id"]) if known is not None else None
        if found is not None:
            of_video[row["video_id"]] = found
    unread = [row for row in rows if row["video_id"] not in of_video]
    sets = [sketch_set(row, config) for row in unread]
    read = store.read_beside([(row["video_id"], sketches) for row, sketches in zip(unread, sets, strict=True)])
    for row, (ordinals, _), beside in zip(unread, sets, read, strict=True):
        if isinstance(beside, VideoError):
            of_video[row["video_id"]] = BatchResult([], [Rejected(row["video"], "failed", beside.reason, beside.detail)])
            continue
        found = shots_of(row, beside.frames, ordinals, config, encoder, device)
        if all_shown or makes_clips(row, found.rows, config):
            store.keep(row["video_id"], beside.of_views)
        of_video[row["video_id"]] = found
    results = [of_video[row["video_id"]] for row in rows]
    return BatchResult([shot for one in results for shot in one.rows], [loss for one in results for loss in one.rejected])


def sketch_set(row: Row, config: ClipConfig) -> FrameSet:
    """The sketches that the shots of one video are found in. `row`: as for `make_shots`."""
    ordinals = sorted({*_looked_at(row["times"], config), *_shown(row, config)})
    size = fitted_size(row["width"], row["height"], _pixels(len(ordinals), config), 2)
    return FrameSet(ordinals, Sketch(*size))


def shots_of(
    row: Row,
    frames: NDArray[np.uint8],
    ordinals: Sequence[int],
    config: ClipConfig,
    encoder: FrameEncoder | None,
    device: str = "cpu",
) -> BatchResult:
    """Rows of one video's shots that keep the rules on shots, and losses. `frames` uint8 (N, H, W, 3), `ordinals` (N): the set of
    `sketch_set`."""
    rejected: list[Rejected] = []
    seen, shown = _looked_at(row["times"], config), _shown(row, config)
    place = {ordinal: index for index, ordinal in enumerate(ordinals)}
    cuts = _cuts(_at(frames, place, seen), seen, config, device)
    kept: list[Shot] = []
    for shot in shots_between(cuts, row["times"], row["duration"], frames, ordinals):
        broken = shot_rule(shot, config.shots)
        if broken is None:
            kept.append(shot)
        else:
            rejected.append(Rejected(shot_id(row["video"], shot.number), "filtered", broken.reason, broken.detail))
    counts = count_rule([shot.seconds for shot in kept], config.shots) is None
    embeddings = encoder.embed([frames[middle(shot, ordinals, row["times"])] for shot in kept]) if encoder and counts else None
    shots: list[Row] = []
    for index, shot in enumerate(kept):
        inside = [ordinal for ordinal in shown if shot.first <= ordinal < shot.stop]
        shots.append(
            {
                "video_id": row["video_id"],
                "video": row["video"],
                **asdict(shot),
                "embedding": embeddings[index].tolist() if embeddings is not None else None,
                "frames": inside,
                "sharpness": [sharpness(frames[place[ordinal]]) for ordinal in inside],
            }
        )
    return BatchResult(shots, rejected)


def makes_clips(row: Row, shots: Sequence[Row], config: ClipConfig) -> bool:
    """Whether the view of `row` is looked at again where shots decide."""
    return bool(make_clips([row], {row["video_id"]: shots}, config, or_uniform=False).rows)


def shot_id(video: str, number: int) -> str:
    """How a dropped shot is named in rejected.jsonl."""
    return f"{video}#{number}"


def _cuts(frames: NDArray[np.uint8], ordinals: Sequence[int], config: ClipConfig, device: str) -> list[int]:
    if config.method == "transnetv2":
        return transnet_cuts(frames, ordinals, config.transnetv2_threshold, device)
    # the same size whatever else the pass is for, so that the cuts do not depend on it
    width, height = fitted_size(frames.shape[2], frames.shape[1], _DETECT_PIXELS, 2)
    small = np.stack([resized(frame, width, height) for frame in frames])
    return adaptive_cuts(small, ordinals, config.threshold, config.min_content)


def _at(frames: NDArray[np.uint8], place: Mapping[int, int], ordinals: Sequence[int]) -> NDArray[np.uint8]:
    return frames if len(ordinals) == len(place) else frames[[place[ordinal] for ordinal in ordinals]]


def _shown(row: Row, config: ClipConfig) -> list[int]:
    """Frames of the view of which the sharpness is wanted."""
    if config.frames == "view":
        return []
    return sorted({slot.frame for slot in VideoView.from_json(row["view"]).slots if slot.frame is not None})


def _pixels(count: int, config: ClipConfig) -> int:
    """How large `count` frames are read."""
    detail = config.frames == "sharpest" or (config.groups.merges and config.groups.encoder != "histogram")
    least = TRANSNET_SIZE[0] * TRANSNET_SIZE[1]
    return max(least, min(_DETAIL_PIXELS if detail else _DETECT_PIXELS, _HELD_BYTES // (3 * count)))


def _looked_at(times: Sequence[float], config: ClipConfig) -> list[int]:
    """Ordinals of the frames in which cuts are looked for: all for TransNetV2, else about `detect_fps` (all where the video has no
    more); evenly thinned where they would be too many to hold.
    """
    if config.method == "transnetv2":
        chosen, least = list(range(len(times))), TRANSNET_SIZE[0] * TRANSNET_SIZE[1]
    else:
        chosen, due, least = [], 0.0, _DETECT_PIXELS
        for ordinal, time in enumerate(times):
            if time >= due - 1e-6:
                chosen.append(ordinal)
                due = max(due + 1 / config.detect_fps, time + 0.5 / config.detect_fps)
    step = -(-len(chosen) * 3 * least // _HELD_BYTES)
    return chosen[:: max(1, step)]
