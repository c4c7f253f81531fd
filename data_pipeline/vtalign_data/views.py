"""Stage 3, views: which frames of each video the model is shown, by its frame policy."""

import json
from collections.abc import Sequence

import pyarrow as pa

from vtalign.video.sample import FramePolicy, sample
from vtalign_data.ingest import info_of
from vtalign_data.stage import BatchResult, Rejected, Row

SCHEMA = pa.schema([(name, pa.string()) for name in ("view_id", "video_id", "video", "view", "sampling")])


def make_views(videos: Sequence[Row], policy: FramePolicy, reader: str) -> BatchResult:
    """One clean view per video. A video of which all sampled frames are the same one is filtered: it shows no time."""
    result = BatchResult()
    for row in videos:
        view = sample(info_of(row), policy)
        if len({slot.frame for slot in view.slots}) < 2:
            detail = f"{row['frames']} frames, {row['duration']:.2f} s: one frame to show"
            result.rejected.append(Rejected(row["video"], "filtered", "too_short", detail))
            continue
        sampling = {"policy": policy.model_dump(mode="json"), "reader": reader}
        result.rows.append(
            {
                "view_id": view.view_id,
                "video_id": row["video_id"],
                "video": row["video"],
                "view": view.to_json(),
                "sampling": json.dumps(sampling, sort_keys=True),
            }
        )
    return result
