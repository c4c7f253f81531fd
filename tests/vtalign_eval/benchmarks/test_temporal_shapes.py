import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtalign.errors import InputError
from vtalign_eval.benchmarks.temporal_shapes import TEMPORAL_SHAPES, load

Row = Callable[..., dict[str, Any]]


def written(folder: Path, *rows: dict[str, Any] | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "questions.jsonl").write_text("\n".join(lines))
    return folder


def test_rows_become_items_in_file_order(tmp_path: Path, question_row: Row) -> None:
    data = written(tmp_path, question_row("b", "f", "order", "left"), "", question_row("a", "f", "static", "right"))
    items = load(data)
    assert [item.question_id for item in items] == ["b:order", "a:static"]
    assert (items[0].video, items[0].options, items[0].answer, items[0].events) == ("videos/b.mp4", ("left", "right"), "left", 2)


def test_the_synthetic_corpus_is_read(small_corpus: Path) -> None:
    for split in ("validation", "heldout"):
        items = TEMPORAL_SHAPES.load(small_corpus / split)
        assert {"order", "static"} <= {item.aspect for item in items}
        assert any(item.group for item in items)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video": "../secret.mp4"}, "video: must be a relative path inside the data folder"),
        ({"video": "/etc/passwd"}, "video: must be a relative path"),
        ({"video": 3}, "video: Input should be a valid string"),
        ({"aspect": "colour"}, "aspect: unknown aspect (known: action, direction"),
        ({"options": ["left"]}, "options: List should have at least 2 items"),
        ({"options": ["left", "Left."]}, "options: options must differ"),
        ({"answer": "up"}, "answer: 'up' is none of the options"),
        ({"events": 0}, "events: Input should be greater than or equal to 1"),
        ({"question": ""}, "question: String should have at least 1 character"),
        ({"question_id": "a:order"}, "question_id: 'a:order' was already used by"),
    ],
)
def test_a_wrong_row_is_named_with_file_line_and_field(
    tmp_path: Path, question_row: Row, changes: dict[str, Any], message: str
) -> None:
    data = written(tmp_path, question_row("a", "f", "order", "left"), question_row("b", "f", "order", "left") | changes)
    with pytest.raises(InputError) as error:
        load(data)
    assert str(error.value).startswith(f"{tmp_path}/questions.jsonl:2: {message}")
    assert "\n" not in str(error.value)


def test_a_missing_field_is_named(tmp_path: Path, question_row: Row) -> None:
    row = question_row("a", "f", "order", "left")
    del row["family"]
    with pytest.raises(InputError, match=r"questions.jsonl:1: family: is required"):
        load(written(tmp_path, row))


@pytest.mark.parametrize(("line", "message"), [("{broken", "not valid JSON"), ("[1]", "expected a JSON object, got list")])
def test_lines_that_are_no_rows(tmp_path: Path, question_row: Row, line: str, message: str) -> None:
    with pytest.raises(InputError, match=f":2: {message}"):
        load(written(tmp_path, question_row("a", "f", "order", "left"), line))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "g"}, "family: conflict group 'x' has 'f'"),
        ({"question": "another ?"}, "question: conflict group 'x'"),
        ({"aspect": "speed"}, "aspect: conflict group 'x'"),
        ({"options": ["right", "up"]}, "options: differ from those of conflict group 'x'"),
        ({"answer": "left"}, "group: all questions of conflict group 'x' have the same answer"),
    ],
)
def test_a_conflict_group_is_one_question_with_different_answers(
    tmp_path: Path, question_row: Row, changes: dict[str, Any], message: str
) -> None:
    first = question_row("a", "f", "order", "left", group="x")
    data = written(tmp_path, first, question_row("b", "f", "order", "right", group="x") | changes)
    with pytest.raises(InputError) as error:
        load(data)
    assert message in str(error.value)


def test_folders_without_questions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
    with pytest.raises(InputError, match="holds no questions"):
        load(written(tmp_path, ""))
