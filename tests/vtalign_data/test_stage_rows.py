from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign_data.stage import BatchResult, Rejected, Stage
from vtalign_data.stage_rows import StageRows


def test_rows_on_disk_are_the_list_of_rows(tmp_path: Path) -> None:
    def odd(batch: list[int]) -> BatchResult:
        return BatchResult([{"n": n} for n in batch if n % 2], [Rejected(str(n), "filtered", "even") for n in batch if not n % 2])

    stage = Stage(tmp_path / "01-odd", pa.schema([("n", pa.int64())]), "number")
    stage.run([*range(10), *range(20, 30, 2), *range(31, 40)], lambda n: f"{n:02d}", odd, batch_size=3)
    rows, expected = StageRows(stage), list(stage.rows())
    assert list(rows) == expected and len(rows) == len(expected) == 10
    for start in range(11):
        for stop in range(11):
            assert rows[start:stop] == expected[start:stop]
    assert rows[-1] == expected[-1]
    with pytest.raises(IndexError):
        rows[10]


def test_parts_go_by_number(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "01-many", pa.schema([("n", pa.int64())]), "number")
    stage.folder.mkdir()
    for number in (2, 99_998, 99_999, 100_000, 100_001):
        pq.write_table(pa.table({"n": [number]}), stage.folder / f"part-{number:05d}.parquet")
    expected = [{"n": number} for number in (2, 99_998, 99_999, 100_000, 100_001)]
    assert list(stage.rows()) == expected
    assert StageRows(stage)[:] == list(StageRows(stage)) == expected


def test_some_columns(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "01-two", pa.schema([("n", pa.int64()), ("text", pa.string())]), "number")
    stage.run(list(range(5)), str, lambda batch: BatchResult([{"n": n, "text": "x"} for n in batch]), batch_size=2)
    rows = StageRows(stage, ["n"])
    assert rows[1:4] == [{"n": 1}, {"n": 2}, {"n": 3}] and list(rows) == [{"n": n} for n in range(5)]
