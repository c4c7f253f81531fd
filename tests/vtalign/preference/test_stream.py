"""Streams give what reading everything gives, and the same errors."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from vtalign.errors import InputError
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import read_pairs, write_pairs
from vtalign.preference.stream import stream_columns, stream_pairs


@pytest.fixture
def folder(tmp_path: Path, make_pair: Callable[..., PreferencePair]) -> Path:
    """1,100 pairs, more than are read at once."""
    write_pairs(tmp_path / "pairs", [make_pair(prompt=f"What happens, {number}?") for number in range(1100)])
    return tmp_path / "pairs"


def test_some_pairs_are_those_of_all(folder: Path) -> None:
    wanted = read_pairs(folder)[1000:1050]
    assert list(stream_pairs(folder, {pair.pair_id for pair in wanted})) == wanted


def test_columns_of_all_pairs(folder: Path) -> None:
    rows = list(stream_columns(folder, ["pair_id", "perturbation.name", "nothing", "video.name"]))
    assert [row["pair_id"] for row in rows] == [pair.pair_id for pair in read_pairs(folder)]
    assert rows[0] == {"pair_id": rows[0]["pair_id"], "perturbation": {"name": "shuffle"}}


def test_a_bad_row_is_named_by_its_number_in_the_file(folder: Path) -> None:
    (file,) = folder.glob("*.parquet")
    table = pq.read_table(file)
    sources = table.column("source").to_pylist()
    sources[1030] = "me"
    pq.write_table(table.set_column(table.schema.get_field_index("source"), "source", [sources]), file)
    with pytest.raises(InputError, match=r"part-00000.parquet: row 1030: column source: expected one of self"):
        list(stream_pairs(folder, set(table.column("pair_id").to_pylist())))


def test_a_torn_file_is_one_line(folder: Path) -> None:
    (file,) = folder.glob("*.parquet")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="not a readable Parquet file"):
        list(stream_columns(folder, ["pair_id"]))
    file.write_bytes(data[:100] + b"\xff" * (len(data) - 2000) + data[-1900:])  # the footer is whole, the pages are not
    with pytest.raises(InputError, match="not a readable Parquet file"):
        list(stream_pairs(folder, {"pair-0"}))
