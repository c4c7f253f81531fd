import json
from pathlib import Path
from typing import Any

import pytest

from vtalign.errors import InputError
from vtalign_eval.items import Item
from vtalign_eval.stored_replies import StoredReplies, read_stored_replies

ITEMS = tuple(
    Item(f"q{n}", f"{n}.mp4", f"f{n}", "order", "First ?\nA. hop\nB. run", ("A. hop", "B. run"), answer)
    for n, answer in enumerate(("A. hop", "B. run", "A. hop"))
)


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lmms(doc_id: int, **changes: Any) -> dict[str, Any]:
    row = {
        "doc_id": doc_id,
        "target": ITEMS[doc_id % 3].answer,
        "input": "First ?\nA. hop\nB. run\nAnswer:",
        "filtered_resps": "A",
    }
    return row | changes


def test_rows_of_ours(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.jsonl",
        {"question_id": "q1", "reply": "B", "tokens": 3},
        {"question_id": "q0", "reply": None},
        {"question_id": "other", "reply": "A"},
    )
    found = read_stored_replies(path, ITEMS)
    assert found == StoredReplies({"q1": "B", "q0": None}, missing=1, unknown=1)
    assert found.counts == {"missing": 1, "null": 1, "unknown": 1}


@pytest.mark.parametrize(
    "said",
    [
        {"filtered_resps": "A"},
        {"resps": ["A"], "filtered_resps": "a, filtered"},
        {"resps": [["A"]], "filtered_resps": ["x"]},
        {"filtered_resps": ["A"]},
    ],
)
def test_rows_of_lmms_eval_hold_the_reply_in_several_forms(tmp_path: Path, said: dict[str, Any]) -> None:
    row = {key: value for key, value in lmms(0).items() if key != "filtered_resps"} | said
    assert read_stored_replies(write(tmp_path / "s.jsonl", row), ITEMS).replies == {"q0": "A"}


def test_a_row_whose_question_or_answer_is_another_one_is_unknown(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", lmms(0), lmms(1, target="A. hop"), lmms(2, input="Last ?"), lmms(7))
    assert read_stored_replies(path, ITEMS) == StoredReplies({"q0": "A"}, missing=2, unknown=3)


def test_an_empty_file_answers_nothing(tmp_path: Path) -> None:
    assert read_stored_replies(write(tmp_path / "r.jsonl"), ITEMS) == StoredReplies({}, missing=3, unknown=0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": 1, "text": "A"}], "r.jsonl:1: neither question_id (with reply) nor doc_id (of lmms-eval); found id, text"),
        ([{"question_id": "q0"}], "r.jsonl:1: reply: is required"),
        ([{"question_id": "q0", "reply": 3}], "r.jsonl:1: reply:"),
        ([{"question_id": "q0", "reply": "A"}] * 2, "question 'q0' is answered more than once"),
        ([lmms(1), lmms(1)], "question 'q1' is answered more than once"),
        ([{"question_id": "x", "reply": "A"}], "none of its 1 rows is about one of the 3 questions"),
        ([lmms(0, filtered_resps=["A", "B"])], "resps, filtered_resps: expected one reply"),
        ([{"question_id": "q0", "reply": "A"}, lmms(1)], "r.jsonl:2: question_id: is required"),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_line(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        read_stored_replies(write(tmp_path / "r.jsonl", *rows), ITEMS)
    assert message in str(error.value) and "\n" not in str(error.value)
