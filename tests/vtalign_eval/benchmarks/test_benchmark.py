"""What is checked of the items that a benchmark's loader returns, whoever wrote it."""

from dataclasses import replace
from pathlib import Path

import pytest

from vtalign.errors import InputError
from vtalign_eval.benchmarks import Benchmark, Item, grade_options

ITEM = Item("q0", "videos/a.mp4", "a", "order", "first ?", ("hop", "run"), "hop")


def benchmark(*items: Item, **changes: object) -> Benchmark:
    return replace(Benchmark("mine", lambda data: items, (), grade_options, ("order",)), **changes)  # type: ignore[arg-type]


def test_items_come_back_in_their_order(tmp_path: Path) -> None:
    free_text = replace(ITEM, question_id="q1", options=(), answer="whatever")
    assert benchmark(ITEM, free_text).items(tmp_path) == (ITEM, free_text)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((), "holds no questions of mine"),
        ((ITEM, ITEM), "mine, item 1: question_id: 'q0' was already used by mine, item 0"),
        ((replace(ITEM, video="../a.mp4"),), "mine, item 'q0': video: '../a.mp4' must be a relative path"),
        ((replace(ITEM, video="/a.mp4"),), "must be a relative path inside the data folder"),
        ((replace(ITEM, aspect="colour"),), "mine, item 'q0': aspect: 'colour' is none that the benchmark declares (order)"),
        ((replace(ITEM, answer="sit"),), "mine, item 'q0': answer: 'sit' is none of the options ['hop', 'run']"),
    ],
)
def test_what_could_not_be_asked_or_counted_is_refused(tmp_path: Path, items: tuple[Item, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        benchmark(*items).items(tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_question_files_that_are_declared_must_be_there_for_the_data_hash(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds none of the files that mine declares \(questions\.csv\)"):
        benchmark(ITEM, question_files=("questions.csv",)).items(tmp_path)
    (tmp_path / "questions.csv").write_text("q0")
    assert benchmark(ITEM, question_files=("questions.csv", "more.csv")).items(tmp_path) == (ITEM,)
