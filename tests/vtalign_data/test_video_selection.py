"""Who finds the shots, and what is sent to them."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from vtalign.artifacts import write_json
from vtalign.video.frames import FrameStore
from vtalign.video.sample import FramePolicy
from vtalign_data import ingest
from vtalign_data.config import BuildConfig
from vtalign_data.runners.task import WORKERS, Task, made
from vtalign_data.stage import BatchResult, Row, Stage
from vtalign_data.video_selection import found_shots


class Recorded:
    """A `RunStage` that finds no shots, and remembers what was to be done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self, name: str, units: Any, schema: Any, items: Any, key: Any, process: Any, size: Any, required: bool
    ) -> Stage:
        self.task: Task[Row] = process
        self.batches: list[Sequence[Row]] = []

        def keep(batch: Sequence[Row]) -> BatchResult:
            self.batches.append(batch)
            return BatchResult()

        stage = Stage(self._folder / name, schema, units[1])
        stage.run(items, key, keep, batch_size=size)
        return stage


def asked(folder: Path, frames: int = 4, **clips: Any) -> Recorded:
    """What is asked for ten videos of so many frames."""
    rows = [
        {**dict.fromkeys(ingest.SCHEMA.names), "video_id": f"v{n}", "video": f"{n}.mp4", "times": [k / 4 for k in range(frames)]}
        for n in range(10)
    ]
    ingested = Stage(folder / "02-ingest", ingest.SCHEMA, "video")
    ingested.run(rows, lambda row: row["video_id"], lambda batch: BatchResult(list(batch)), batch_size=4)
    views = [{"view_id": f"view-{row['video_id']}", "video_id": row["video_id"], "video": row["video"]} for row in rows]
    config = BuildConfig.model_validate({"videos": folder, "model": "m", "out": folder, "clips": clips, "batch_size": 4})
    recorded = Recorded(folder)
    found_shots(recorded, config, views, ingested, made(FrameStore, folder, {}, FramePolicy(), workers=WORKERS))
    return recorded


def test_a_batch_brings_what_is_known_of_its_videos_and_the_task_nothing(tmp_path: Path) -> None:
    short, long = asked(tmp_path / "short"), asked(tmp_path / "long", frames=5000)
    assert [[row["video_id"] for row in batch] for batch in long.batches] == [
        ["v0", "v1", "v2", "v3"],
        ["v4", "v5", "v6", "v7"],
        ["v8", "v9"],
    ]
    assert all(len(row["times"]) == 5000 for batch in long.batches for row in batch)
    assert len(pickle.dumps(long.task.args)) < len(pickle.dumps(short.task.args)) + 100
    assert len(pickle.dumps(long.batches[0])) < 4 * 5000 * 8 + 2000


@pytest.mark.parametrize(
    ("clips", "place"),
    [
        ({"method": "scenes"}, "decode"),
        ({"method": "scenes", "groups": {"threshold": 1}}, "decode"),
        ({"method": "transnetv2"}, "model"),
        ({"method": "transnetv2", "groups": {"threshold": 1}}, "model"),
        ({"method": "scenes", "groups": {"encoder": "clip", "checkpoint": "siglip"}}, "model"),
        ({"method": "scenes", "groups": {"encoder": "clip", "checkpoint": "siglip", "threshold": 1}}, "decode"),
        ({"method": "scenes", "groups": {"encoder": "model"}}, "model"),
    ],
)
def test_those_who_have_a_device_run_models(tmp_path: Path, clips: dict[str, Any], place: str) -> None:
    write_json(tmp_path / "encoder.json", {"fingerprint": "known"})  # no checkpoint is loaded here
    assert asked(tmp_path, **clips).task.place == place
