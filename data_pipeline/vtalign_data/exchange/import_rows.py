"""Rows of a file that another trainer reads, or that RRPO released: JSON, JSONL or Parquet, one by one with their place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vtalign.errors import InputError
from vtalign.preference.exports.formats import FORMATS, FormatName
from vtalign.preference.exports.row import PreferenceRow, RowError

_PIXELS = ("images", "image")  # in Parquet often the bytes of the images, of which nothing is needed

Place = str
"""`file:line` of a JSONL file, `file:row 3` of a list or a table (both from 1)."""


def read_rows(file: Path, form: FormatName) -> Iterator[tuple[Place, PreferenceRow | RowError]]:
    """Every row with its place, or what is wrong with it.

    Raises InputError where the file as a whole cannot be read.
    """
    for place, item in _items(file):
        yield place, item if isinstance(item, RowError) else _read(item, form)


def _read(item: Any, form: FormatName) -> PreferenceRow | RowError:
    if not isinstance(item, dict):
        return RowError("not_an_object", f"expected a JSON object, got {type(item).__name__}")
    try:
        return FORMATS[form].read(item)
    except RowError as error:
        return error


def _items(file: Path) -> Iterator[tuple[Place, Any]]:
    if not file.is_file():
        raise InputError(f"{file}: no such file of rows (.jsonl, .json or .parquet)")
    match file.suffix.lower():
        case ".parquet":
            yield from _table(file)
        case ".json":
            yield from _list(file)
        case ".jsonl":
            yield from _lines(file)
        case _:
            raise InputError(f"{file}: rows are read from .jsonl, .json or .parquet")


def _lines(file: Path) -> Iterator[tuple[Place, Any]]:
    with file.open("rb") as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            try:
                yield f"{file.name}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:  # text that is not UTF-8 too
                yield f"{file.name}:{number}", RowError("not_json", f"not valid JSON: {error}")


def _list(file: Path) -> Iterator[tuple[Place, Any]]:
    try:
        items = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not valid JSON: {error}") from None
    if not isinstance(items, list):
        raise InputError(f"{file}: expected a list of rows, got {type(items).__name__}")
    yield from ((f"{file.name}:row {number}", item) for number, item in enumerate(items, 1))


def _table(file: Path) -> Iterator[tuple[Place, Any]]:
    try:
        with pq.ParquetFile(file) as table:
            columns = [name for name in table.schema_arrow.names if name not in _PIXELS]
            number = 0
            for batch in table.iter_batches(batch_size=256, columns=columns):
                for item in batch.to_pylist():
                    number += 1
                    yield f"{file.name}:row {number}", item
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file}: not a readable Parquet file: {str(error).splitlines()[0]}") from None
