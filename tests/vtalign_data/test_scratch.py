import os
from pathlib import Path

import pytest

from vtalign_data.scratch import TableSequence, insert_all, scratch_database


@pytest.fixture
def numbers(tmp_path: Path) -> TableSequence[int]:
    database = scratch_database(tmp_path)
    database.execute("CREATE TABLE squares (n INTEGER PRIMARY KEY, value INTEGER)")
    insert_all(database, "INSERT INTO squares (value) VALUES (?)", ((number**2,) for number in range(10)))
    return TableSequence(database, "squares", "value", lambda columns: int(columns[0]))


def test_it_is_the_list(numbers: TableSequence[int]) -> None:
    expected = [number**2 for number in range(10)]
    assert list(numbers) == expected and len(numbers) == 10
    assert numbers[0] == 0 and numbers[-1] == 81
    for start, stop in ((0, 4), (4, 99), (-3, None), (5, 5), (8, 2)):
        assert numbers[start:stop] == expected[start:stop]
    with pytest.raises(IndexError):
        numbers[10]
    with pytest.raises(ValueError, match="step"):
        numbers[::2]


def test_iterating_while_slices_are_read(numbers: TableSequence[int]) -> None:
    assert [(value, numbers[1:2]) for value in numbers] == [(number**2, [1]) for number in range(10)]


def test_the_file_has_no_name(numbers: TableSequence[int], tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []


def test_what_is_sorted_lies_in_the_folder_too(tmp_path: Path) -> None:
    folder = tmp_path / "it's mine"
    folder.mkdir()
    database = scratch_database(folder)
    database.execute("CREATE TABLE texts (text TEXT)")
    insert_all(database, "INSERT INTO texts VALUES (?)", ((f"{number * 7919 % 100_003:0>200}",) for number in range(100_000)))
    before = open_files()
    rows = database.execute("SELECT text FROM texts ORDER BY text")
    next(rows)
    sorting = open_files() - before
    assert sorting and all(name.startswith(f"{folder}/") for name in sorting)


def open_files() -> set[str]:
    """Those of this process, as Linux names them; files that have no name any more among them."""
    return {os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.lexists(entry.path)}
