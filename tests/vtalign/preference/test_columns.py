from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign.errors import InputError
from vtalign.preference.columns import read_columns


def write(folder: Path, number: int, **columns: list) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"part-{number}.parquet"
    pq.write_table(pa.table(columns), file)
    return file


def test_numbers_by_pair_from_all_files(tmp_path: Path) -> None:
    write(tmp_path, 0, pair_id=["b", "a"], mine=[1, None], other=[0.5, 2.0])
    write(tmp_path, 1, other=[3.0], mine=pa.nulls(1), pair_id=["c"])
    assert read_columns(tmp_path, ("mine",)) == {"b": {"mine": 1.0}, "a": {"mine": None}, "c": {"mine": None}}
    one = read_columns(tmp_path / "part-0.parquet", ("other", "mine", "other"))
    assert one == {"b": {"other": 0.5, "mine": 1.0}, "a": {"other": 2.0, "mine": None}}


def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path) -> None:
    write(tmp_path, 0, pair_id=["a"], mine=[1])
    file = write(tmp_path, 1, pair_id=["b"], prompt=["?"], difficulty=[0.5], steps=[3])
    with pytest.raises(InputError) as caught:
        read_columns(tmp_path, ("mine",))
    assert str(caught.value) == f"{file}: column mine is missing (columns of numbers: difficulty, steps)"


def test_a_column_of_text_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, 0, pair_id=["a"], mine=["hard"])
    with pytest.raises(InputError, match=rf"{file}: column mine: has type string, expected numbers"):
        read_columns(tmp_path, ("mine",))


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \*\.parquet files"):
        read_columns(tmp_path, ("mine",))
