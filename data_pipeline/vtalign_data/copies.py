"""Exact copies: files of the same content, grouped on disk."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vtalign_data.scratch import TableSequence, insert_all, scratch_database
from vtalign_data.stage import Row

# The scan row of the copy that stays (first path in order), and the paths of the others.
Copies = tuple[Row, list[str]]

_GROUP = """
CREATE INDEX by_content ON scanned (video_id, video);
CREATE TABLE firsts (n INTEGER PRIMARY KEY, video TEXT, video_id TEXT, bytes INTEGER);
INSERT INTO firsts (video, video_id, bytes)
SELECT min(video) AS video, video_id, bytes FROM scanned GROUP BY video_id ORDER BY min(video);
"""


def group_copies(scanned: Iterable[Row], folder: Path) -> Sequence[Copies]:
    """Files of the same content together, in order of the first path of each; they lie on the disk of `folder`."""
    database = scratch_database(folder)
    database.execute("CREATE TABLE scanned (video TEXT, video_id TEXT, bytes INTEGER)")
    rows = ((row["video"], row["video_id"], row["bytes"]) for row in scanned)
    insert_all(database, "INSERT INTO scanned VALUES (?, ?, ?)", rows)
    database.executescript(_GROUP)

    def copies(columns: tuple[Any, ...]) -> Copies:
        video, video_id, _ = columns
        others = database.execute("SELECT video FROM scanned WHERE video_id = ? AND video > ? ORDER BY video", (video_id, video))
        return dict(zip(("video", "video_id", "bytes"), columns, strict=True)), [other for (other,) in others]

    return TableSequence(database, "firsts", "video, video_id, bytes", copies)
