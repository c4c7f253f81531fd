from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign.errors import InputError
from vtalign_data.listing import table
from vtalign_data.listing.annotations import ANNOTATIONS, SCHEMA
from vtalign_data.listing.entries import Entry
from vtalign_data.listing.index import Listing
from vtalign_data.listing.table import write_annotations
from vtalign_data.stage import BatchResult, Stage

FILES = [f"{number:02d}.mp4" for number in range(10)]


def stage(folder: Path, videos: list[str]) -> Stage:
    """Scan rows: the id of a video is its name."""
    made = Stage(folder, pa.schema([("video", pa.string()), ("video_id", pa.string())]), "video")
    made.run(
        videos, str, lambda batch: BatchResult([{"video": name, "video_id": f"video-{name}"} for name in batch]), batch_size=3
    )
    return made


def test_lines_of_the_kept_videos_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_GROUP", 4)
    entries = [Entry(name, row, '{"captions": ["a", "b"]}') for row, name in enumerate(FILES, 1)]
    scanned, kept = stage(tmp_path / "01-scan", FILES), stage(tmp_path / "02-ingest", FILES[::2])
    listing = Listing(entries, tmp_path, "m.csv", None)
    assert write_annotations(tmp_path, listing, scanned, kept) == 10
    file = pq.ParquetFile(tmp_path / ANNOTATIONS)
    assert file.num_row_groups == 3 and file.schema_arrow.names == SCHEMA.names
    rows = file.read().to_pylist()
    assert [(row["video"], row["text"], row["row"]) for row in rows] == [
        (name, text, 2 * number + 1) for number, name in enumerate(FILES[::2]) for text in "ab"
    ]
    before = (tmp_path / ANNOTATIONS).stat().st_mtime_ns
    assert write_annotations(tmp_path, listing, scanned, kept) == 10
    assert (tmp_path / ANNOTATIONS).stat().st_mtime_ns == before
    other = Listing(entries[:-1], tmp_path, "m.csv", None)
    with pytest.raises(InputError, match="choose another output folder"):
        write_annotations(tmp_path, other, scanned, kept)


def test_a_manifest_that_says_nothing_gives_an_empty_table(tmp_path: Path) -> None:
    scanned = stage(tmp_path / "01-scan", FILES)
    assert write_annotations(tmp_path, Listing([Entry("00.mp4", 1)], tmp_path, "m.csv", None), scanned, scanned) == 0
    assert pq.read_table(tmp_path / ANNOTATIONS).num_rows == 0
