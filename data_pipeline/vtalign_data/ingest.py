"""Stage 2, ingest: every distinct file is decoded once in an isolated worker and described; copies are filtered.

Where another reader than PyAV is selected, it is compared with PyAV on frames of every video.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from vtalign.errors import VideoError
from vtalign.video.isolated import DecodeWorkers, FrameSet, Probed
from vtalign.video.probe import VideoInfo
from vtalign_data.copies import Copies
from vtalign_data.ingest_config import IngestConfig
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.video_rules import broken_rule

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("video", pa.string()),
        ("bytes", pa.int64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("rotation", pa.int64()),
        ("codec", pa.string()),
        ("container_frames", pa.int64()),
        ("frames", pa.int64()),
        ("times", pa.list_(pa.float64())),
        ("duration", pa.float64()),
        ("access", pa.string()),
        ("warnings", pa.list_(pa.string())),
    ]
)
_INFO = tuple(name for name in SCHEMA.names if name not in ("video", "bytes"))


class Ahead(Protocol):
    """What the pass of ingest is for besides (`shots_ahead`)."""

    def plan(self, guess: VideoInfo) -> list[FrameSet]:
        """The frames to take along, should the video be as `guess` says."""
        ...

    def take(self, row: Row, probed: Probed) -> None:
        """The row of a video that stays, and what its pass gave."""
        ...


def ingest(
    batch: Sequence[Copies],
    root: Path,
    workers: DecodeWorkers,
    reader: str,
    rules: IngestConfig,
    whole: DecodeWorkers | None = None,
    ahead: Ahead | None = None,
) -> BatchResult:
    """Probe one batch. A video that cannot be read, or that is another file by now, costs its line; so does one that breaks a rule.

    `whole`: workers that decode every frame of long videos too (`check: full`). `ahead`: what else the pass is for, of the videos
    that stay.
    """
    result = BatchResult()

    def plan(guess: VideoInfo) -> list[FrameSet]:
        return ahead.plan(guess) if ahead is not None and broken_rule(guess, rules) is None else []

    paths = [root / row["video"] for row, _ in batch]
    probed = workers.map_probe_reading(paths, plan) if ahead is not None else workers.map_probe(paths)
    for (row, copies), found in zip(batch, probed, strict=True):
        info = found.info if isinstance(found, Probed) else found
        for copy in copies:
            result.rejected.append(Rejected(copy, "filtered", "duplicate", f"same content as {row['video']}"))
        if isinstance(info, VideoError):
            result.rejected.append(Rejected(row["video"], "failed", info.reason, info.detail))
        elif info.video_id != row["video_id"]:
            result.rejected.append(Rejected(row["video"], "failed", "changed", "another content than when the run scanned it"))
        elif (rule := broken_rule(info, rules)) is not None:
            result.rejected.append(Rejected(row["video"], "filtered", *rule))
        else:
            result.rows.append({"video": row["video"], "bytes": row["bytes"], **info.to_dict()})
            if ahead is not None and isinstance(found, Probed):
                ahead.take(result.rows[-1], found)
    if whole is not None:
        result = _decoded_whole(result, root, whole)
    return result if reader == "pyav" else _compared(result, root, workers, reader)


def info_of(row: Row) -> VideoInfo:
    """The `VideoInfo` of an ingest row."""
    return VideoInfo.from_dict({name: row[name] for name in _INFO})


def _decoded_whole(result: BatchResult, root: Path, whole: DecodeWorkers) -> BatchResult:
    """Long videos, of which three frames were decoded, are decoded from end to end; what fails or has other frames is lost."""
    long = [row for row in result.rows if row["access"] == "seek"]
    rejected = list(result.rejected)
    for row, info in zip(long, whole.map_probe([root / row["video"] for row in long]), strict=True):
        if isinstance(info, VideoError):
            rejected.append(Rejected(row["video"], "failed", info.reason, info.detail))
        elif info.frames != row["frames"]:
            detail = f"{row['frames']} frames by its packets, {info.frames} decoded"
            rejected.append(Rejected(row["video"], "failed", "lies", detail))
    lost = {loss.id for loss in rejected}
    return BatchResult([row for row in result.rows if row["video"] not in lost], rejected)


def _compared(result: BatchResult, root: Path, workers: DecodeWorkers, reader: str) -> BatchResult:
    """Where the reader shows other frames than PyAV, the video keeps a warning; where it cannot read it, the video is lost."""
    rows, rejected = [], list(result.rejected)
    checks = [(root / row["video"], reader, row["frames"]) for row in result.rows]
    for row, found in zip(result.rows, workers.map_compare(checks), strict=True):
        if isinstance(found, VideoError):
            rejected.append(Rejected(row["video"], "failed", found.reason, f"{reader}: {found.detail}"))
            continue
        if found:
            warning = f"{reader} differs from pyav at {len(found)} of the frames compared (first: {found[0]})"
            row = {**row, "warnings": [*row["warnings"], warning]}
        rows.append(row)
    return BatchResult(rows, rejected)
