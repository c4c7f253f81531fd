"""The index of a listing: sorted and joined on disk, whatever the order and size of the source."""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from vtalign_data.listing.entries import BadEntry, Entry
from vtalign_data.scratch import TableSequence, insert_all, scratch_database
from vtalign_data.stage import Rejected

_TABLES = """
CREATE TABLE entries (path BLOB, row INTEGER, annotation TEXT);
CREATE TABLE bad (place TEXT, outcome TEXT, reason TEXT, detail TEXT);
CREATE TABLE files (path BLOB PRIMARY KEY, row INTEGER) WITHOUT ROWID;
CREATE TABLE annotations (path BLOB, row INTEGER, annotation TEXT);
CREATE TABLE items (n INTEGER PRIMARY KEY, id BLOB, row INTEGER, outcome TEXT, reason TEXT, detail TEXT);
"""
# './': no listed path begins so, so that a row's place is an id of its own even where a file is called like it
_SORTED_ITEMS = """
INSERT INTO items (id, row, outcome, reason, detail)
SELECT path AS id, row, NULL, NULL, NULL FROM files
UNION ALL
SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM files WHERE path = CAST(place AS BLOB)) THEN './' || place ELSE place END AS BLOB),
    0, outcome, reason, detail FROM bad
ORDER BY id
"""
_JOINED = """
SELECT kept.video_id, kept.video, min(row), annotation
FROM annotations JOIN scanned ON scanned.path = annotations.path JOIN kept ON kept.video_id = scanned.video_id
GROUP BY kept.video, kept.video_id, annotation ORDER BY kept.video, min(row), annotation
"""


class Listed(NamedTuple):
    """One input of the scan: a path, with the first row that names it (`list.csv:7`, or "" for folders), or what is lost already."""

    id: str
    place: str
    lost: Rejected | None


class Annotated(NamedTuple):
    """What row `row` of the manifest says of a kept video (annotations.py has the JSON)."""

    video_id: str
    video: str
    row: int
    annotation: str


class Listing:
    """All that a source listed, on the disk of `folder`: each path once, sorted; of rows that say the same the first one stays.

    Neither the order nor the number of entries shows in the result, `row` apart, nor in the memory it takes. With `limit` the
    first so many paths in order are taken. `manifest` names the rows.
    """

    def __init__(self, entries: Iterable[Entry | BadEntry], folder: Path, manifest: str | None, limit: int | None) -> None:
        self._manifest, self._database = manifest, scratch_database(folder)
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")
        for entry in entries:
            if isinstance(entry, BadEntry):
                self._lose(entry)
            else:
                self._database.execute("INSERT INTO entries VALUES (?, ?, ?)", (_blob(entry.path), entry.row, entry.annotation))
        self._join(limit)
        self._database.execute(_SORTED_ITEMS)
        self._database.execute("DROP TABLE entries")
        self._database.execute("COMMIT")
        self.items = TableSequence(self._database, "items", "id, row, outcome, reason, detail", self._listed)

    def annotations(self) -> Iterator[tuple[str, int, str]]:
        """(path, row, annotation JSON), sorted by path and content."""
        rows = self._database.execute("SELECT path, row, annotation FROM annotations ORDER BY rowid")
        return ((_text(path), row, annotation) for path, row, annotation in rows)

    def annotated(self, scanned: Iterable[tuple[str, str]], kept: Iterable[tuple[str, str]]) -> Iterator[Annotated]:
        """Annotations of the videos that were kept, each once a video, sorted by video and row.

        `scanned`: (path, video id) of all files, `kept`: (video id, path) of the videos. Copies of a file share what is said of them.
        """
        self._database.executescript(
            "CREATE TABLE scanned (path BLOB PRIMARY KEY, video_id TEXT) WITHOUT ROWID;"
            "CREATE TABLE kept (video_id TEXT PRIMARY KEY, video TEXT) WITHOUT ROWID;"
        )
        insert_all(self._database, "INSERT INTO scanned VALUES (?, ?)", ((_blob(path), video_id) for path, video_id in scanned))
        insert_all(self._database, "INSERT INTO kept VALUES (?, ?)", kept)
        yield from (Annotated(*row) for row in self._database.execute(_JOINED))
        self._database.executescript("DROP TABLE scanned; DROP TABLE kept;")

    def _join(self, limit: int | None) -> None:
        """Entries of one path become one file; what they say of it is kept apart."""
        ordered = self._database.execute("SELECT path, annotation, row FROM entries ORDER BY path, annotation, row")
        for path, entries in islice(groupby(ordered, key=itemgetter(0)), limit):
            first_row: int | None = None
            before: tuple[str | None, int] | None = None  # the first row that said the same
            for _, annotation, row in entries:
                if before is not None and before[0] == annotation:
                    detail = f"says the same as {self._place(before[1])}"
                    self._lose(BadEntry(self._place(row), "filtered", "duplicate_row", detail))
                    continue
                before = annotation, row
                first_row = row if first_row is None else min(first_row, row)
                if annotation is not None:
                    self._database.execute("INSERT INTO annotations VALUES (?, ?, ?)", (path, row, annotation))
            self._database.execute("INSERT INTO files VALUES (?, ?)", (path, first_row))
        ordered.close()

    def _lose(self, entry: BadEntry) -> None:
        self._database.execute("INSERT INTO bad VALUES (?, ?, ?, ?)", tuple(_shown(text) for text in entry))

    def _place(self, row: int) -> str:
        return f"{self._manifest}:{row}" if row else ""

    def _listed(self, columns: tuple[bytes, int, str | None, str, str]) -> Listed:
        identifier, row, outcome, reason, detail = columns
        name = _text(identifier)
        if outcome is None:
            return Listed(name, self._place(row), None)
        return Listed(name, "", Rejected(name, "filtered" if outcome == "filtered" else "failed", reason, detail))


def _blob(path: str) -> bytes:
    """File names need not be Unicode. The order of these bytes is that of Python's strings."""
    return path.encode("utf-8", "surrogatepass")


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")


def _shown(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
