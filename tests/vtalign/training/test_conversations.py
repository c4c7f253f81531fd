import json
from pathlib import Path
from typing import Any

import pytest

from vtalign.errors import InputError
from vtalign.training.config import SFTStage
from vtalign.training.conversations import CAPTION_PROMPT, read_conversations


def sft_stage(data: Path) -> SFTStage:
    return SFTStage.model_validate({"kind": "sft", "name": "sft", "data": data, "learning_rate": 1e-5})


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(texts)]


def chat(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def write_lines(file: Path, rows: list[Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_llava_conversations(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "video": "v/1.mp4", "conversations": turns("<video>\nWhat?", "this")},
        {"id": "b", "video": "v/2.mp4", "conversations": turns("First?\n<video>", "one", "And then?", "two")},
        {"id": "c", "conversations": turns("No video?", "none")},
        {"id": "d", "video": ["v/1.mp4", "v/2.mp4"], "conversations": turns("<video> or <video>?", "both")},
        {"id": "e", "video": "v/3.mp4", "conversations": turns("<image>\nWhen?", "now")},  # as LLaVA-Video's own files have it
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, several = read_conversations(sft_stage(file))
    assert [(c.id, c.texts, c.videos, c.response) for c in found] == [
        ("a", ("", "What?"), ("v/1.mp4",), "this"),
        ("b#0", ("First?", ""), ("v/2.mp4",), "one"),
        ("b#1", ("", "And then?"), ("v/2.mp4",), "two"),
        ("c", ("No video?",), (), "none"),
        ("d", ("", " or ", "?"), ("v/1.mp4", "v/2.mp4"), "both"),
        ("e", ("", "When?"), ("v/3.mp4",), "now"),
    ]
    assert several == 1
    array = tmp_path / "rows.json"
    array.write_text(json.dumps(rows))
    assert read_conversations(sft_stage(array)) == (found, several)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"video": "v.mp4", "conversations": turns("no tag", "x")}, "0 <video> tags for 1 videos"),
        ({"conversations": turns("<video> tag", "x")}, "1 <video> tags for 0 videos"),
        ({"image": "i.png", "conversations": turns("<image>", "x")}, "only videos and text"),
        ({"conversations": turns("a", "b", "c")}, "human, gpt"),
        ({"conversations": [{"from": "gpt", "value": "a"}, {"from": "human", "value": "b"}]}, "human, gpt"),
        ({"conversations": turns("a", " ")}, "no text"),
        ({"conversations": "text"}, "list of at least two"),
        ({"video": "v.mp4"}, "none of `conversations`"),
        ({"videos": ["v.mp4"], "messages": chat("no tag", "x")}, "0 <video> tags for 1 videos"),
        ({"videos": ["a.mp4", "b.mp4"], "messages": chat("<video>", "x", "<video>", "y")}, "1 <video> tags for 2 videos"),
        ({"videos": [["1.png", "2.png"]], "messages": chat("<video>", "x")}, "expected a path"),
        ({"messages": [{"role": "system", "content": "s"}, *chat("a", "b")]}, "has a system text"),
        ({"messages": chat("a", "b"), "system": "s"}, "has a system text"),
        ({"messages": [*chat("a"), {"role": "tool_call", "content": "{}"}]}, "user, assistant"),
        ({"messages": [*chat("a"), {"role": "assistant", "content": [{"type": "text", "text": "b"}]}]}, "no text"),
        ({"messages": [*chat("a"), {"role": "assistant", "content": "b", "loss": False}]}, "loss false"),
        ({"messages": chat("a <bbox>", "b"), "objects": {"bbox": [[0, 0, 1, 1]]}}, "has objects"),
        ({"messages": chat("<image>", "b"), "images": ["i.png"]}, "only videos and text"),
        ({"messages": [1, 2]}, "user, assistant"),
        ({"caption": "no video"}, "a caption needs its `video`"),
        ({"video": "v.mp4", "caption": ["a", "b"]}, "no text"),
        ({"video": {"path": 1}, "conversations": turns("<video>", "x")}, "expected a path"),
        ({"video": 3, "conversations": turns("<video>", "x")}, "expected a path"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: Any, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"conversations": turns("fine", "yes")}) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(InputError, match="row 2") as caught:
        read_conversations(sft_stage(file))
    assert said in str(caught.value)


def test_ms_swift_messages_say_what_llava_rows_say(tmp_path: Path) -> None:
    llava = [
        {"id": "a", "video": "1.mp4", "conversations": turns("<video>What?", "this", "And then?", "that")},
        {"id": "b", "conversations": turns("No video?", "none")},
        {"id": "c", "video": ["1.mp4", "2.mp4"], "conversations": turns("<video> or <video>?", "both")},
    ]
    swift = [
        {"id": "a", "videos": ["1.mp4"], "messages": chat("<video>What?", "this", "And then?", "that")},
        {"id": "b", "videos": [], "images": [], "messages": chat("No video?", "none")},
        {"id": "c", "videos": ["1.mp4", "2.mp4"], "messages": chat("<video> or <video>?", "both")},
    ]
    expected = read_conversations(sft_stage(write_lines(tmp_path / "llava.jsonl", llava)))
    assert read_conversations(sft_stage(write_lines(tmp_path / "swift.jsonl", swift))) == expected
    mixed = tmp_path / "mixed.json"
    mixed.write_text(json.dumps([swift[0], llava[1], swift[2]]))
    assert read_conversations(sft_stage(mixed)) == expected
    assert [c.id for c in expected[0]] == ["a#0", "a#1", "b", "c"] and expected[1] == 1


def test_captions_answer_one_prompt(tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "captions.jsonl", [{"video": "v/1.mp4", "caption": "a circle grows", "clips": ["a circle grows"]}]
    )
    [caption], several = read_conversations(sft_stage(file))
    assert (caption.texts, caption.videos, caption.response) == (("", CAPTION_PROMPT), ("v/1.mp4",), "a circle grows")
    assert several == 0


def test_rows_without_an_id_have_one_that_stays(tmp_path: Path) -> None:
    row = {"videos": ["1.mp4"], "messages": chat("<video>What?", "this")}
    [one], _ = read_conversations(sft_stage(write_lines(tmp_path / "one.jsonl", [row])))
    [other], _ = read_conversations(sft_stage(write_lines(tmp_path / "other.jsonl", [dict(reversed(row.items()))])))
    [changed], _ = read_conversations(sft_stage(write_lines(tmp_path / "changed.jsonl", [{**row, "videos": ["2.mp4"]}])))
    assert one.id == other.id != changed.id


def test_a_last_line_without_its_newline_is_a_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"id": name, "conversations": turns("q", "a")}) for name in "xyz"))
    assert [c.id for c in read_conversations(sft_stage(file))[0]] == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rows"),
        ('{"a": 1}\n{"b"', "rows.jsonl:2: not valid JSON"),
        ("[1]\n", "rows.jsonl:1: expected a JSON object"),
    ],
)
def test_a_file_that_holds_no_rows_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text.replace('{"a": 1}', json.dumps({"conversations": turns("q", "a")})))
    with pytest.raises(InputError) as caught:
        read_conversations(sft_stage(file))
    assert said in str(caught.value)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes("é".encode("latin-1"))
    with pytest.raises(InputError, match=r"rows.jsonl: not UTF-8"):
        read_conversations(sft_stage(file))
