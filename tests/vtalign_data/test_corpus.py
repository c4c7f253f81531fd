"""From a manifest to the videos of a run: every row and file ends as kept, filtered or failed."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign.errors import InputError
from vtalign_data.config import BuildConfig
from vtalign_data.corpus import ingest_corpus, list_source, scan_batch_size
from vtalign_data.listing.annotations import ANNOTATIONS
from vtalign_data.listing.source import find_source
from vtalign_data.run_model import RunModel
from vtalign_data.runners.task import WORKERS, Task
from vtalign_data.runners.tools import WorkTools
from vtalign_data.stage import BatchResult, Stage

COLUMNS = {"video": "path", "caption": "text", "question": "q", "answer": "a", "options": "o"}
ROWS: list[dict[str, Any]] = [
    {"path": "b.mp4", "text": "one", "q": "which?", "a": "B", "o": '["x", "y"]'},
    {"path": "a.mp4", "text": "two", "q": "", "a": "", "o": ""},
    {"path": "./b.mp4", "text": "three", "q": "", "a": "", "o": ""},
    {"path": "copy.mp4", "text": "one", "q": "", "a": "", "o": ""},
    {"path": "../secret.mp4", "text": "", "q": "", "a": "", "o": ""},
    {"path": "out.mp4", "text": "", "q": "", "a": "", "o": ""},
    {"path": "gone.mp4", "text": "four", "q": "", "a": "", "o": ""},
    {"path": "", "text": "five", "q": "", "a": "", "o": ""},
    {"path": "a.mp4", "text": "two", "q": "", "a": "", "o": ""},
    {"path": "no.mp4", "text": "six", "q": "", "a": "", "o": ""},
    {"path": "c.mp4", "text": "", "q": "why?", "a": "C", "o": '["x", "y"]'},
]


class Dies(Exception):
    pass


@pytest.fixture
def videos(small_corpus: Path, tmp_path: Path) -> Path:
    """Two videos, a copy, a file that is no video, a link out of the root."""
    folder = tmp_path / "videos"
    folder.mkdir()
    good = sorted((small_corpus / "train" / "videos").glob("*.mp4"))
    for name, source in zip(("a.mp4", "b.mp4", "copy.mp4", "c.mp4"), (good[0], good[1], good[1], good[2]), strict=True):
        shutil.copy(source, folder / name)
    (folder / "no.mp4").write_text("this is no video")
    shutil.copy(good[3], tmp_path / "secret.mp4")
    (folder / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    return folder


def write_manifest(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        import csv

        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(manifest: Path, out: Path, dies_at: int | None = None, **settings: Any) -> Stage:
    """The first stages on a manifest with captions and questions; dies before batch `dies_at`, counted over all stages."""
    settings = {"columns": COLUMNS, "batch_size": 2, **settings}
    config = BuildConfig.model_validate({"videos": manifest, "model": "none", "out": out, **settings})
    out.mkdir(exist_ok=True)
    source = find_source(config.videos, config.root, config.columns, config.extensions)
    batches = 0

    def run_stage(name: str, units: tuple[str, str], schema: pa.Schema, items: Any, key: Any, process: Any, size: Any) -> Stage:
        def counted(batch: Sequence[Any]) -> BatchResult:
            nonlocal batches
            if batches == dies_at:
                raise Dies
            batches += 1
            result: BatchResult = process.run(tools, batch) if isinstance(process, Task) else process(batch)
            return result

        stage = Stage(out / "stages" / name, schema, units[1])
        stage.run(items, key, counted, batch_size=size)
        return stage

    with WorkTools(config, RunModel(config)) as tools:
        listing = list_source(source, config.out, config.limit)
        return ingest_corpus(config, source.root, listing, WORKERS, run_stage)


def losses(out: Path) -> dict[str, str]:
    found = [json.loads(line) for path in sorted(out.glob("stages/*/rejected.jsonl")) for line in path.read_text().splitlines()]
    return {loss["id"]: f"{loss['outcome']} {loss['reason']}" for loss in found}


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_every_row_and_file_is_accounted_for(videos: Path, tmp_path: Path) -> None:
    kept = run(write_manifest(videos / "list.csv", ROWS), tmp_path / "run")
    assert [row["video"] for row in kept.rows()] == ["a.mp4", "b.mp4"]
    assert losses(tmp_path / "run") == {
        "../secret.mp4": "failed outside_root",
        "out.mp4": "failed outside_root",
        "gone.mp4": "failed missing",
        "list.csv:9": "failed empty_path",
        "list.csv:10": "filtered duplicate_row",
        "list.csv:12": "failed bad_annotation",
        "no.mp4": "failed not_a_video",
        "copy.mp4": "filtered duplicate",
    }
    details = (tmp_path / "run/stages/01-scan/rejected.jsonl").read_text()
    assert "(list.csv:8)" in details and "says the same as list.csv:3" in details
    table = pq.read_table(tmp_path / "run" / ANNOTATIONS)
    found = [(row["video"], row["kind"], row["text"] or row["question"], row["answer"], row["row"]) for row in table.to_pylist()]
    assert found == [
        ("a.mp4", "caption", "two", None, 3),
        ("b.mp4", "caption", "one", None, 2),
        ("b.mp4", "qa", "which?", "y", 2),
        ("b.mp4", "caption", "three", None, 4),
        ("b.mp4", "caption", "one", None, 5),  # of its copy, whose row says less
    ]
    ids = {row["video"]: row["video_id"] for row in kept.rows()}
    assert all(row["video_id"] == ids[row["video"]] for row in table.to_pylist())


@pytest.mark.parametrize("name", ["list.jsonl", "list.parquet"])
def test_the_formats_agree(videos: Path, tmp_path: Path, name: str) -> None:
    run(write_manifest(videos / "list.csv", ROWS), tmp_path / "csv")
    run(write_manifest(videos / name, ROWS), tmp_path / "other")
    assert pq.read_table(tmp_path / "other" / ANNOTATIONS).drop_columns("row") == pq.read_table(
        tmp_path / "csv" / ANNOTATIONS
    ).drop_columns("row")
    assert sorted(losses(tmp_path / "other").values()) == sorted(losses(tmp_path / "csv").values())


def test_any_order_of_the_rows_gives_the_same_videos(videos: Path, tmp_path: Path) -> None:
    kept = [
        run(write_manifest(videos / "list.csv", rows), tmp_path / name) for name, rows in (("one", ROWS), ("two", ROWS[::-1]))
    ]
    assert list(kept[0].rows()) == list(kept[1].rows())
    tables = [pq.read_table(tmp_path / name / ANNOTATIONS).drop_columns("row").to_pylist() for name in ("one", "two")]
    assert sorted(map(str, tables[0])) == sorted(map(str, tables[1]))


@pytest.mark.slow
def test_a_run_that_died_goes_on_to_the_same_bytes(videos: Path, tmp_path: Path) -> None:
    manifest = write_manifest(videos / "list.csv", ROWS)
    near = {"near_duplicates": {"max_distance": 1}}
    run(manifest, tmp_path / "whole", ingest=near)
    for dies_at in (0, 2, 5, 6, 7, 8, 9):
        out = tmp_path / f"cut{dies_at}"
        try:
            run(manifest, out, dies_at, ingest=near)
        except Dies:
            assert not (out / ANNOTATIONS).exists()
        run(manifest, out, ingest=near)
        assert contents(out) == contents(tmp_path / "whole")


def test_other_captions_are_noticed_when_a_run_goes_on(videos: Path, tmp_path: Path) -> None:
    manifest = write_manifest(videos / "list.csv", ROWS)
    run(manifest, tmp_path / "run")
    manifest.write_text(manifest.read_text().replace("three", "3"))
    with pytest.raises(InputError, match="other captions and questions"):
        run(manifest, tmp_path / "run")


def test_limits_and_rules(videos: Path, tmp_path: Path) -> None:
    kept = run(videos / "*.mp4", tmp_path / "run", columns={}, limit=2, ingest={"max_duration": 0.01})
    assert list(kept.rows()) == [] and losses(tmp_path / "run") == {"a.mp4": "filtered too_long", "b.mp4": "filtered too_long"}
    assert not (tmp_path / "run" / ANNOTATIONS).exists()


def test_nothing_listed(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\*\.mp4: no file matches"):
        run(videos / "x*.mp4", tmp_path / "run", columns={})


def write_long(path: Path, damaged: int | None = None) -> None:
    """60 frames of noise, every 5th a keyframe; the packet `damaged` is overwritten with zeros."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(60):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(noise.integers(0, 256, (48, 64, 3), np.uint8), format="rgb24"))
            )
        container.mux(stream.encode())
    if damaged is not None:
        with av.open(str(path)) as container:
            packet = list(container.demux(video=0))[damaged]
            place, size = packet.pos, packet.size
        data = bytearray(path.read_bytes())
        data[place : place + size] = bytes(size)
        path.write_bytes(data)


def test_a_full_check_decodes_long_videos_from_end_to_end(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_long(folder / "a.mp4", damaged=12)
    write_long(folder / "b.mp4")
    settings: dict[str, Any] = {"columns": {}, "limits": {"seek_beyond_s": 1}}
    probed = run(folder, tmp_path / "probe", **settings)
    assert {row["video"]: row["access"] for row in probed.rows()} == {"a.mp4": "seek", "b.mp4": "seek"}
    full = run(folder, tmp_path / "full", **settings, ingest={"check": "full"})
    assert [(row["video"], row["access"]) for row in full.rows()] == [("b.mp4", "seek")]
    assert losses(tmp_path / "full") == {"a.mp4": "failed corrupt"}


@pytest.mark.parametrize(
    ("size", "files", "expected"), [(32, 1, 32), (32, 32_000, 32), (32, 32_001, 64), (32, 10**6, 1024), (4, 14, 4)]
)
def test_a_scan_has_a_thousand_parts_at_most(size: int, files: int, expected: int) -> None:
    assert scan_batch_size(size, files) == expected
