"""The rows of a complete stage as a sequence that stays on disk."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import overload

import pyarrow.parquet as pq

from vtalign_data.stage import Row, Stage


class StageRows(Sequence[Row]):
    """Rows in the order of the parts. A slice reads the parts that it reaches into; iterating holds one part at a time."""

    def __init__(self, stage: Stage, columns: Sequence[str] | None = None) -> None:
        """`columns`: of the rows, default all."""
        self._stage, self._columns = stage, list(columns) if columns else None
        self._parts = stage.parts()
        self._starts = [0, *accumulate(pq.read_metadata(part).num_rows for part in self._parts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Row]:
        return self._stage.rows(self._columns)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError(f"slices have step 1, got {step}")
            return self._between(start, stop)
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._between(index % len(self), index % len(self) + 1)[0]

    def _between(self, start: int, stop: int) -> list[Row]:
        rows: list[Row] = []
        while start < stop:
            number = bisect_right(self._starts, start) - 1
            first, end = self._starts[number], min(stop, self._starts[number + 1])
            rows += pq.read_table(self._parts[number], columns=self._columns).slice(start - first, end - start).to_pylist()
            start = end
        return rows
