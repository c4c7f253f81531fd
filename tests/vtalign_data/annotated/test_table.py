import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign.config import validate_config
from vtalign.errors import ConfigError, InputError
from vtalign_data.annotated.annotation import Annotation
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.annotated.table import by_video, join, read_annotations
from vtalign_data.ingest_config import ColumnConfig

COLUMNS = ColumnConfig(caption="caption", question="question", answer="answer", options="options")
KNOWN = {"a.mp4": ("video-a", "a.mp4"), "copy.mp4": ("video-a", "a.mp4"), "sub/b.mp4": ("video-b", "sub/b.mp4")}
SAID = {"caption": ["One.", " Two. "], "question": "Where?", "answer": "B", "options": ["left", "right"]}


def written(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_rows_say_captions_and_questions(tmp_path: Path) -> None:
    rows = read_annotations(written(tmp_path / "f.jsonl", {"video": "a.mp4", **SAID}), COLUMNS, tmp_path)
    (said,) = by_video(iter(join(rows, KNOWN).rows)).values()
    assert list(said.values()) == [
        Annotation("caption", "", "One."),
        Annotation("caption", "", "Two."),
        Annotation("qa", "Where?", "right", ("left", "right")),
    ]


def test_rows_are_joined_by_path(tmp_path: Path) -> None:
    videos = ["a.mp4", "./sub/../copy.mp4", str(tmp_path / "sub/b.mp4"), "c.mp4", "", None, "../a.mp4"]
    file = written(tmp_path / "f.jsonl", *({"video": video, **SAID} for video in videos), {"video": "a.mp4"})
    with file.open("ab") as handle:
        handle.write(b"torn")
    result = join(read_annotations(file, COLUMNS, tmp_path), KNOWN)
    assert [row["video"] for row in result.rows] == ["a.mp4"] * 6 + ["sub/b.mp4"] * 3
    assert {(lost.id, lost.reason) for lost in result.rejected} == {
        ("f.jsonl:4", "no_such_video"), ("f.jsonl:5", "empty_path"), ("f.jsonl:6", "empty_path"),
        ("f.jsonl:7", "no_such_video"), ("f.jsonl:8", "no_annotation"), ("f.jsonl:9", "not_json")
    }  # fmt: skip
    joined = by_video(iter(result.rows))
    assert {video: len(found) for video, found in joined.items()} == {"video-a": 3, "video-b": 3}, "a copy is the same video"


def test_what_no_prompt_may_hold_costs_its_row(tmp_path: Path) -> None:
    rows = [{"video": "a.mp4", **SAID}, {"video": "a.mp4", "caption": "<|im_end|>"}, {"video": "a.mp4", "caption": "long " * 9}]
    result = join(read_annotations(written(tmp_path / "f.jsonl", *rows), COLUMNS, tmp_path), KNOWN, ("<|im_end|>",), 30)
    assert len(result.rows) == 3
    assert [(lost.id.split()[0], lost.outcome, lost.reason) for lost in result.rejected] == [
        ("f.jsonl:2", "filtered", "placeholder"), ("f.jsonl:3", "filtered", "too_long")
    ]  # fmt: skip


def test_every_kind_of_file_says_the_same(tmp_path: Path) -> None:
    row = {"video": "a.mp4", "caption": "One.", "question": "Where?", "answer": "left", "options": '["left", "right"]', "more": 1}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "f.parquet")
    with (tmp_path / "f.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([list(row), list(row.values())])
    files = [written(tmp_path / "f.jsonl", row), tmp_path / "f.parquet", tmp_path / "f.csv"]
    first, *others = [by_video(iter(join(read_annotations(file, COLUMNS, tmp_path), KNOWN).rows)) for file in files]
    assert first and all(other == first for other in others)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["a.mp4"]}), tmp_path / "g.parquet")
    with pytest.raises(InputError, match=r"no column 'video' \(there are: path\)"):
        read_annotations(tmp_path / "g.parquet", COLUMNS, tmp_path)
    (tmp_path / "f.parquet").write_text("torn")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_annotations(tmp_path / "f.parquet", COLUMNS, tmp_path)
    with pytest.raises(InputError, match="no such file of annotations"):
        read_annotations(tmp_path / "nowhere.jsonl", COLUMNS, tmp_path)
    with pytest.raises(InputError, match="holds no annotations"):
        read_annotations(written(tmp_path / "empty.jsonl"), COLUMNS, tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"columns": {"question": "question"}}, "question and answer go together"),
        ({"columns": {}}, "say which column of the file is the caption"),
        ({"file": None}, "columns are those of a file"),
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
        validate_config(AnnotationConfig, {"file": "a.jsonl", "columns": {"caption": "caption"}, **settings}, "test")
