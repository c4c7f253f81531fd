import json
from typing import Any

import pytest

from vtalign_data.ingest_config import ColumnConfig
from vtalign_data.listing.annotations import SCHEMA, BadValue, annotation_rows, read_annotation

QA = ColumnConfig(question="q", answer="a", options="o", id="id")


def read(columns: ColumnConfig, **values: Any) -> Any:
    found = read_annotation(values, columns)
    return None if found is None else json.loads(found)


def test_captions() -> None:
    columns = ColumnConfig(caption="c")
    assert read(columns, c="a cat") == {"captions": ["a cat"]}
    assert read(columns, c=["a cat", " ", "a dog", None]) == {"captions": ["a cat", "a dog"]}
    assert read(columns, c=None) is read(columns, c="") is read(columns) is None


@pytest.mark.parametrize(
    ("answer", "options", "right"),
    [
        ("up", ["down", "up"], "up"),
        ("B", ["down", "up"], "up"),
        ("b", ["down", "up"], "up"),
        (1, ["down", "up"], "up"),
        ("0", ["down", "up"], "down"),
        (1.0, '["down", "up"]', "up"),
        ("2", ["2", "3", "4"], "2"),  # the text of an option comes first
        ("B", ["B", "A"], "B"),
        (3, [1, 2, 3], "3"),
        (0, [0, 1, 2], "0"),
        ("B", [2, 3, 4], "3"),
        (" Right. ", ["left", "right"], "right"),
        ("3", None, "3"),
        ("left", "", "left"),
    ],
)
def test_the_right_option(answer: Any, options: Any, right: str) -> None:
    assert read(QA, q="where?", a=answer, o=options)["answer"] == right


def test_options_in_columns_of_their_own() -> None:
    columns = ColumnConfig(question="question", answer="answer", options=("a0", "a1", "a2"), id="qid")
    found = read(columns, question="why?", answer="1", a0="x", a1="y", a2="", qid=7)
    assert found == {"question": "why?", "answer": "y", "options": ["x", "y"], "id": "7"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"q": "why?"}, "bad_annotation"),
        ({"a": "because"}, "bad_annotation"),
        ({"q": "why?", "a": float("nan")}, "bad_annotation"),
        ({"q": "why?", "a": "C", "o": ["x", "y"]}, "bad_annotation"),
        ({"q": "why?", "a": "x", "o": "x, y"}, "bad_annotation"),
        ({"q": "why?", "a": "x", "o": 3}, "wrong_type"),
        ({"q": "why?", "a": "x", "o": ["x"]}, "bad_annotation"),
        ({"q": "why?", "a": "x", "o": ["x", "X."]}, "bad_annotation"),
        ({"q": "why?", "a": "x", "o": ["x", "."]}, "bad_annotation"),
        ({"q": 3, "a": "x"}, "wrong_type"),
        ({"q": "why?", "a": True}, "wrong_type"),
        ({"q": "how many?", "a": 2, "o": ["2", "3", "4"]}, "bad_annotation"),
        ({"q": "how many?", "a": 1.0, "o": [1, 2]}, "bad_annotation"),
        ({"q": float("nan"), "a": "x"}, "bad_annotation"),
        ({"q": "why\ud800?", "a": "x"}, "bad_utf8"),
    ],
)
def test_bad_values(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadValue) as error:
        read_annotation(values, QA)
    assert error.value.reason == reason


def test_lines_of_the_table() -> None:
    annotation = json.dumps({"captions": ["a", "b"], "question": "q", "answer": "x", "options": ["x", "y"], "id": "7"})
    lines = list(annotation_rows("video-1", "v.mp4", 3, annotation))
    assert [(line["kind"], line["text"], line["answer"], line["options"]) for line in lines] == [
        ("caption", "a", None, None),
        ("caption", "b", None, None),
        ("qa", None, "x", ["x", "y"]),
    ]
    assert all(list(line) == SCHEMA.names and (line["row"], line["id"]) == (3, "7") for line in lines)


def test_nan_is_none() -> None:
    """As pandas writes columns in which some rows have nothing."""
    nan = float("nan")
    assert read(ColumnConfig(caption="c"), c=nan) is None
    assert read(ColumnConfig(caption="c"), c=["a cat", nan]) == {"captions": ["a cat"]}
    assert read(QA, q=nan, a=nan, o=nan, id=nan) is None
    assert read(QA, q="why?", a="x", o=nan) == {"question": "why?", "answer": "x"}


def test_an_ambiguous_answer_says_what_to_give() -> None:
    with pytest.raises(BadValue) as error:
        read(QA, q="how many?", a=2, o=["2", "3", "4"])
    assert error.value.detail == "a: 2 is ambiguous: it is the text of one option and the number of another; give the letter"
