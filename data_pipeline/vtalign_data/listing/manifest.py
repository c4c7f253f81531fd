"""Manifests as streams of rows: a text file of paths, JSON Lines, CSV or TSV, Parquet. One bad row costs that row.

Rows are numbered from 1: lines of the file in text formats (a CSV row has the number of its first line), rows in Parquet.
"""

import csv
import json
from collections import deque
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from vtalign.errors import InputError
from vtalign_data.ingest_config import ColumnConfig

LONGEST_LINE = 8 * 2**20  # bytes; a file without line ends is not a manifest, and is not read into memory
_KEYS_REMEMBERED = 200  # distinct keys of a JSONL file that are named where a mapped one is in no row
_BATCH = 1024  # rows of a Parquet file that are in memory at a time


class Record(NamedTuple):
    """A row: the values of the columns that the config names. A column that the row does not have is not there."""

    row: int
    values: dict[str, Any]


class BadRow(NamedTuple):
    row: int
    reason: str
    detail: str


def read_manifest(path: Path, columns: ColumnConfig) -> Iterator[Record | BadRow]:
    """Rows in the order of the file. Raises InputError where the file lacks a mapped column (names those it has) or is unreadable."""
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return _read_jsonl(path, columns)
        case ".csv":
            return _read_csv(path, columns, ",")
        case ".tsv":
            return _read_csv(path, columns, "\t")
        case ".parquet":
            return _read_parquet(path, columns)
        case ".json":
            raise InputError(
                f"{path}: a manifest is a text file of paths, .jsonl, .csv, .tsv or .parquet; write one object per line"
            )
        case _:
            return _read_lines(path, columns)


def _read_lines(path: Path, columns: ColumnConfig) -> Iterator[Record | BadRow]:
    if columns.has_annotations:
        raise InputError(
            f"columns: {path} is a list of paths; captions and questions need a .jsonl, .csv, .tsv or .parquet manifest"
        )
    for row, line in _lines(path):
        if isinstance(line, BadRow):
            yield line
        elif line.strip() and not line.lstrip().startswith("#"):
            yield Record(row, {columns.video: line.strip()})


def _read_jsonl(path: Path, columns: ColumnConfig) -> Iterator[Record | BadRow]:
    missing = dict.fromkeys(columns.named)
    keys: dict[str, None] = {}
    objects = 0
    for row, line in _lines(path):
        if isinstance(line, BadRow):
            yield line
            continue
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadRow(row, "not_json", _one_line(error))
            continue
        if not isinstance(value, dict):
            yield BadRow(row, "not_json", f"expected a JSON object, got {type(value).__name__}")
            continue
        objects += 1
        if missing:
            missing = {name: None for name in missing if name not in value}
        if len(keys) < _KEYS_REMEMBERED:
            keys |= dict.fromkeys(value)
        yield Record(row, {name: value[name] for name in columns.named if name in value})
    if objects and missing:
        raise _no_column(path, list(missing), list(keys))


def _read_csv(path: Path, columns: ColumnConfig, delimiter: str) -> Iterator[Record | BadRow]:
    # surrogateescape: bytes that are not UTF-8 show in the row that they are in, and not as the end of the file
    with _opened(path) as raw, TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        yield from _csv_rows(path, _CsvLines(text), columns, delimiter)


class _CsvLines:
    """Lines of a CSV file; all but the first of a record that cannot be read may be read again.

    A quote that is not closed would else cost all rows up to the next quote, or up to the longest field that there may be.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._of_record: list[str] = []
        self._again: deque[str] = deque()
        self.number = 0  # of the line given last

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._text.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        self._of_record.append(line)
        self.number += 1
        return line

    def begin_record(self) -> int:
        """The number of its first line."""
        self._of_record.clear()
        return self.number + 1

    def give_again(self) -> None:
        rest = self._of_record[1:]
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)


def _csv_rows(path: Path, lines: _CsvLines, columns: ColumnConfig, delimiter: str) -> Iterator[Record | BadRow]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header: list[str] = next(reader, [])
    except csv.Error as error:
        raise InputError(f"{path}:1: the header cannot be read: {error}") from None
    if not header:
        return
    _check_columns(path, columns, header)
    places = [(name, header.index(name)) for name in columns.named]
    while True:
        row = lines.begin_record()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            beyond = f" (read on to line {lines.number}: close the quote)" if lines.number > row else ""
            yield BadRow(row, "not_csv", f"{error}{beyond}")
            lines.give_again()
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        if len(fields) == len(header):
            yield Record(row, {name: fields[place] for name, place in places})
        elif fields:
            yield BadRow(row, "wrong_fields", f"{len(fields)} fields, the header has {len(header)}")


def _read_parquet(path: Path, columns: ColumnConfig) -> Iterator[Record | BadRow]:
    row = 0
    try:
        # without pre_buffer, and with a small buffer: a row group may be larger than the memory
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
            _check_columns(path, columns, file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=_BATCH, columns=list(columns.named)):
                values = [_python_values(batch.column(name)) for name in columns.named]
                for fields in zip(*values, strict=True):
                    row += 1
                    yield Record(row, dict(zip(columns.named, fields, strict=True)))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet beyond row {row}: {_one_line(error)}") from None


def _python_values(column: pa.Array) -> list[Any]:
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:  # Arrow does not check its text: find the values that are none
        return [_python_value(value) for value in column]


def _python_value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return "\udcff"  # as text formats show a byte that is not UTF-8


def _lines(path: Path) -> Iterator[tuple[int, str | BadRow]]:
    """Numbered lines, or what is wrong with them. Raises InputError where the file cannot be read."""
    with _opened(path) as handle:
        row = 0
        while line := handle.readline(LONGEST_LINE):
            row += 1
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = handle.readline(LONGEST_LINE)
                yield row, BadRow(row, "long_line", f"longer than {LONGEST_LINE} bytes")
                continue
            try:
                yield row, line.decode("utf-8-sig" if row == 1 else "utf-8")
            except UnicodeDecodeError as error:
                yield row, BadRow(row, "bad_utf8", f"not UTF-8 at byte {error.start} of the line")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _check_columns(path: Path, columns: ColumnConfig, there: Sequence[str]) -> None:
    """Raises InputError where a mapped column is not there, or not once."""
    missing = [name for name in columns.named if name not in there]
    if missing:
        raise _no_column(path, missing, there)
    twice = [name for name in columns.named if there.count(name) > 1]
    if twice:
        raise InputError(f"{path}: column '{twice[0]}' is there twice")


def _no_column(path: Path, missing: Sequence[str], there: Sequence[str]) -> InputError:
    named = ", ".join(there) or "none"
    return InputError(
        f"{path}: no column '{missing[0]}' (there are: {named}); map it: columns.<what>=NAME, null where there is none"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
