import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign.config import validate_config
from vtalign.errors import ConfigError, InputError
from vtalign_data.annotated.annotation import Annotation
from vtalign_data.annotated.config import AnnotationColumns, AnnotationConfig
from vtalign_data.annotated.table import BadRow, annotations_of, by_video, join, read_rows

COLUMNS = AnnotationColumns(caption="caption")
KNOWN = {"a.mp4": ("video-a", "a.mp4"), "copy.mp4": ("video-a", "a.mp4"), "sub/b.mp4": ("video-b", "sub/b.mp4")}


def test_rows_say_captions_and_questions() -> None:
    row = {"question": "Where?", "answer": "B", "options": ["left", "right"], "caption": ["One.", "Two."]}
    assert annotations_of(row, COLUMNS) == [
        Annotation("caption", "", "One."),
        Annotation("caption", "", "Two."),
        Annotation("qa", "Where?", "right", ("left", "right")),
    ]


@pytest.mark.parametrize(
    ("answer", "right"), [("right", "right"), (" Right. ", "right"), ("b", "right"), ("0", "left"), (1, "right")]
)
def test_how_a_right_option_can_be_named(answer: Any, right: str) -> None:
    (found,) = annotations_of({"question": "Where?", "answer": answer, "options": '["left", "right"]'}, COLUMNS)
    assert found.truth == right


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "neither a caption nor a question"),
        ({"question": "Where?"}, "a question without answer"),
        ({"answer": "left"}, "an answer without question"),
        ({"question": "Where?", "answer": "D", "options": ["left", "right"]}, "'D' names none of the 2 options"),
        ({"question": "Where?", "answer": "left", "options": ["left"]}, "expected a list of 2 to 26 options"),
        ({"question": "Where?", "answer": "left", "options": ["left", "Left."]}, "options must differ"),
        ({"question": 3, "answer": "left"}, "question: expected text, got int"),
        ({"question": "\ud83d?", "answer": "left"}, "half a surrogate pair"),
        ({"question": "Where?", "answer": "left", "options": "[left"}, "expected a list of options"),
    ],
)
def test_what_a_row_can_have_wrong(row: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRow, match=said.replace("[", r"\[")):
        annotations_of(row, COLUMNS)


def test_rows_are_joined_by_path(tmp_path: Path) -> None:
    said = {"question": "Where?", "answer": "left"}
    rows = [
        (f"f.jsonl:{number}", {"video": video, **said})
        for number, video in enumerate(
            ["a.mp4", "./sub/../copy.mp4", str(tmp_path / "sub/b.mp4"), "c.mp4", "", None, "../a.mp4"], 1
        )
    ]
    result = join(rows, COLUMNS, tmp_path, KNOWN)
    assert [row["video"] for row in result.rows] == ["a.mp4", "a.mp4", "sub/b.mp4"]
    assert {(lost.id, lost.reason) for lost in result.rejected} == {
        ("f.jsonl:4", "no_such_video"), ("f.jsonl:5", "bad_annotation"), ("f.jsonl:6", "bad_annotation"), ("f.jsonl:7", "no_such_video")
    }  # fmt: skip
    joined = by_video(iter(result.rows))
    assert {video: len(found) for video, found in joined.items()} == {"video-a": 1, "video-b": 1}, "a copy is the same video"


def test_jsonl_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = [{"video": "a.mp4", "question": "Where?", "answer": "left", "options": None, "more": 1}]
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "f.parquet")
    (one,), (other,) = (read_rows(tmp_path / name, COLUMNS) for name in ("f.jsonl", "f.parquet"))
    assert annotations_of(one[1], COLUMNS) == annotations_of(other[1], COLUMNS)
    pq.write_table(pa.table({"path": ["a.mp4"]}), tmp_path / "g.parquet")
    with pytest.raises(InputError, match=r"column video is missing \(there are path\)"):
        read_rows(tmp_path / "g.parquet", COLUMNS)
    (tmp_path / "f.parquet").write_text("torn")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read_rows(tmp_path / "f.parquet", COLUMNS)
    with pytest.raises(InputError, match="no such file of annotations"):
        read_rows(tmp_path / "nowhere.jsonl", COLUMNS)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"columns": {"question": None}}, "question and answer go together"),
        ({"columns": {"question": None, "answer": None}}, "name a caption column"),
        ({"options_prompt": "{question}"}, r"lacks field \{options\}"),
        ({"open_prompt": "?"}, r"lacks field \{question\}"),
        ({"yes_no_prompt": "{question:d}"}, r"unknown field \{question:d\} \(known: \{options\}, \{question\}\)"),
        ({"judge_answer_prompt": "{truth} {reply}"}, r"judge_answer_prompt: .* lacks field \{question\}"),
        ({"judge_caption_prompt": "{truth} {reply} {question}"}, r"unknown field \{question\}"),
        ({"judge": {}}, "name one judge"),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        validate_config(AnnotationConfig, {"file": "a.jsonl", **settings}, "test")
