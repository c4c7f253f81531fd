"""Pairs on disk without holding them all: single columns of every pair, and whole pairs of a few."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import open_pair_file, pair_files, pair_of_row, read_batches


def stream_columns(path: str | Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every pair's `columns` (fields of a struct as `perturbation.name`), in the order of the files; what a file lacks is left out.

    Raises InputError as `read_pairs` does, but for what only a whole row shows.
    """
    for file in pair_files(path):
        opened = open_pair_file(file)
        there = [column for column in columns if _has(opened.schema_arrow, column)]
        for batch in read_batches(file, opened, there):
            yield from batch.to_pylist()


def stream_pairs(path: str | Path, pair_ids: Collection[str]) -> Iterator[PreferencePair]:
    """The pairs of `pair_ids`, in the order of the files. Raises InputError as `read_pairs` does, for these pairs."""
    for file in pair_files(path):
        first = 0
        for batch in read_batches(file, open_pair_file(file)):
            ids = batch.column("pair_id").to_pylist()
            wanted = [row for row, pair_id in enumerate(ids) if pair_id in pair_ids]
            rows = batch.take(pa.array(wanted, pa.int64())).to_pylist() if wanted else []
            for number, row in zip(wanted, rows, strict=True):
                yield pair_of_row(row, f"{file}: row {first + number}")
            first += len(ids)


def _has(schema: pa.Schema, column: str) -> bool:
    name, _, field = column.partition(".")
    if name not in schema.names:
        return False
    kind = schema.field(name).type
    return not field or (pa.types.is_struct(kind) and kind.get_field_index(field) >= 0)
