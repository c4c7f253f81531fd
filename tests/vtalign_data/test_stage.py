import json

import pyarrow as pa
import pytest

from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign_data.stage import BatchResult, Rejected, Stage

SCHEMA = pa.schema([("id", pa.string()), ("square", pa.int64())])
ITEMS = [f"{number:03d}" for number in range(25)]


class Work:
    """Squares; every 7th is filtered, every 10th fails. Remembers its batches and may die at one."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.batches: list[list[str]] = []
        self.dies_at = dies_at

    def __call__(self, items: list[str]) -> BatchResult:
        if len(self.batches) == self.dies_at:
            raise KeyboardInterrupt
        self.batches.append(list(items))
        result = BatchResult()
        for item in items:
            if int(item) % 10 == 9:
                result.rejected.append(Rejected(item, "failed", "nine"))
            elif int(item) % 7 == 6:
                result.rejected.append(Rejected(item, "filtered", "six", "of a week"))
            else:
                result.rows.append({"id": item, "square": int(item) ** 2})
        return result


def run(folder, work: Work, items: list[str] = ITEMS, batch_size: int | None = 4) -> Stage:
    stage = Stage(folder, SCHEMA, "number")
    stage.run(items, str, work, batch_size=batch_size)
    return stage


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


def test_rows_losses_and_counts(tmp_path) -> None:
    stage = run(tmp_path / "01-square", Work())
    assert [row["square"] for row in stage.rows()] == [int(i) ** 2 for i in ITEMS if int(i) % 10 != 9 and int(i) % 7 != 6]
    assert [loss.id for loss in stage.rejected()] == ["006", "009", "013", "019", "020"]
    counts = stage.counts()
    assert (counts.kept, counts.filtered, counts.failed) == (20, {"six": 3}, {"nine": 2})
    assert counts.kept + counts.lost == len(ITEMS)
    assert not list(stage.folder.glob("part-*.jsonl"))


@pytest.mark.parametrize("dies_at", [0, 1, 3, 6])
def test_an_interrupted_stage_goes_on_where_it_was(tmp_path, dies_at: int) -> None:
    run(tmp_path / "whole", Work())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Work(dies_at))
    assert not Stage(tmp_path / "cut", SCHEMA, "number").is_complete
    (tmp_path / "cut" / ".part-00009.parquet.1234abcd.partial").write_bytes(b"torn")
    rest = Work()
    run(tmp_path / "cut", rest)
    assert len(rest.batches) == 7 - dies_at
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert not list((tmp_path / "cut").glob(".*"))


def test_a_complete_stage_does_nothing_again(tmp_path) -> None:
    run(tmp_path / "s", Work())
    again = Work()
    run(tmp_path / "s", again)
    assert again.batches == []


def test_a_stage_without_its_marker_is_completed(tmp_path) -> None:
    """Killed between the last part and the marker, or between the marker and the clean-up."""
    run(tmp_path / "s", Work())
    whole = contents(tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "t", Work(dies_at=6))
    losses = {name: data for name, data in contents(tmp_path / "t").items() if name.endswith(".rejected.jsonl")}
    run(tmp_path / "t", Work())
    for name, data in losses.items():
        (tmp_path / "t" / name).write_bytes(data)
    run(tmp_path / "t", Work())
    assert contents(tmp_path / "t") == whole


def test_progress_hears_of_batches_found_and_made(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", Work(dies_at=2))
    heard = []
    stage = Stage(tmp_path / "s", SCHEMA, "number")
    stage.run(ITEMS, str, Work(), batch_size=4, on_batch=lambda n, lost: heard.append((n, len(lost))))
    assert [n for n, _ in heard] == [4, 4, 4, 4, 4, 4, 1]
    assert sum(lost for _, lost in heard) == 5


def test_another_input_is_refused(tmp_path) -> None:
    run(tmp_path / "s", Work())
    with pytest.raises(InputError, match=r"s: was begun with another input \(25 numbers then, 24 now\)"):
        run(tmp_path / "s", Work(), ITEMS[1:])


def test_the_input_is_named_by_the_digest_of_its_ids(tmp_path) -> None:
    """The same one as that of the list in memory, so that runs of earlier versions go on."""
    for number, items in enumerate(([], ITEMS, ["é视", 'quo"te', "x\udcff"])):
        stage = Stage(tmp_path / str(number), SCHEMA, "number")
        stage.run(items, str, lambda batch: BatchResult(), batch_size=2)
        assert json.loads((stage.folder / "input.json").read_text())["input"] == stable_id("input", items)


def test_ids_must_differ(tmp_path) -> None:
    with pytest.raises(ValueError, match="not distinct"):
        run(tmp_path / "s", Work(), ["001", "002", "001"])


def test_no_input_and_one_batch_of_all(tmp_path) -> None:
    empty = run(tmp_path / "none", Work(), [])
    assert list(empty.rows()) == [] and empty.counts().kept == 0
    work = Work()
    run(tmp_path / "all", work, batch_size=None)
    assert work.batches == [ITEMS]
