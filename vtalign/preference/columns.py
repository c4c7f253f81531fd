"""Columns of a user's own in the pairs' Parquet files, beside those of the schema."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vtalign.errors import InputError
from vtalign.preference.schema import pair_files


def read_columns(path: str | Path, names: tuple[str, ...]) -> dict[str, dict[str, float | None]]:
    """{pair id: {column: number, None where there is none}} of one Parquet file or of all in a folder, as `read_pairs` reads them.

    Raises InputError that names the file and the column where it is missing (with the columns there are) or holds no numbers.
    """
    found: dict[str, dict[str, float | None]] = {}
    for file in pair_files(path):
        schema = pq.read_schema(file)
        numbers = [field.name for field in schema if _is_number(field.type)]
        for name in names:
            if name not in schema.names:
                raise InputError(f"{file}: column {name} is missing (columns of numbers: {', '.join(numbers) or 'none'})")
            if name not in numbers and not pa.types.is_null(schema.field(name).type):
                raise InputError(f"{file}: column {name}: has type {schema.field(name).type}, expected numbers")
        for row in pq.read_table(file, columns=["pair_id", *dict.fromkeys(names)]).to_pylist():
            found[row["pair_id"]] = {name: None if row[name] is None else float(row[name]) for name in names}
    return found


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
