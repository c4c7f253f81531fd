"""What does not fit into memory: nameless SQLite databases on the disk of the run, and sequences that lie in them."""

import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

_CACHE_KIB = 8192  # pages that SQLite keeps in memory, for tables and for sorting


def scratch_database(folder: Path) -> sqlite3.Connection:
    """An empty database on the disk of `folder` whose file has no name: it is gone with the process, however that ends.

    SQLite's own temporary databases would lie in /tmp, which is memory on many machines; what it sorts goes to `folder` too.
    """
    path = folder / f".scratch.{uuid.uuid4().hex[:8]}.partial"
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", f"cache_size=-{_CACHE_KIB}"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("PRAGMA user_version=1")  # the first write: from here on the file is open
    path.unlink()
    # of the process, not of the connection: the run that began last says where
    connection.execute("PRAGMA temp_store_directory='" + str(folder.resolve()).replace("'", "''") + "'")
    return connection


def insert_all(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """`executemany` in one transaction."""
    connection.execute("BEGIN")
    connection.executemany(statement, rows)
    connection.execute("COMMIT")


class TableSequence(Sequence[T], Generic[T]):
    """Rows 1, 2, .. of a table with an integer key `n`, as a sequence: `make` turns the columns of one into an item.

    Slices are read when asked for and are lists; iterating holds one row at a time.
    """

    def __init__(self, connection: sqlite3.Connection, table: str, columns: str, make: Callable[[tuple[Any, ...]], T]) -> None:
        self._connection, self._make = connection, make
        self._select = f"SELECT {columns} FROM {table} WHERE n > ? AND n <= ? ORDER BY n"
        self._length: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return self._between(0, self._length)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            if step != 1:
                raise ValueError(f"slices have step 1, got {step}")
            return list(self._between(start, stop))
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return next(self._between(index % self._length, index % self._length + 1))

    def _between(self, start: int, stop: int) -> Iterator[T]:
        return map(self._make, self._connection.execute(self._select, (start, stop)))
