import json
from typing import Any

import pytest

from vtalign.remote.payload import NoCompletion, read_completion, read_models
from vtalign.remote.requests import ChatReply


def body(content: Any, finish: str | None = "stop", **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}, "finish_reason": finish}], **more}).encode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (body("A. left", usage={"completion_tokens": 4, "prompt_tokens": 900}), ChatReply("A. left", 4, "end")),
        (body("A. le", "length", usage={"completion_tokens": 3}), ChatReply("A. le", 3, "length")),
        (body("ja"), ChatReply("ja", 0, "end")),  # a server that counts no tokens
        (body("ja", None, usage=None), ChatReply("ja", 0, "end")),
        (body(""), ChatReply("", 0, "end")),  # silence is a reply
        (body(None, "length", usage={"completion_tokens": 9}), ChatReply("", 9, "length")),  # still thinking when cut
        (body("zwölf \U0001f600"), ChatReply("zwölf \U0001f600", 0, "end")),
    ],
)
def test_what_a_completion_says(raw: bytes, expected: ChatReply) -> None:
    assert read_completion(raw) == expected


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "Invalid JSON"),
        (b"<html>", "Invalid JSON"),
        (body("A")[:-5], "Invalid JSON"),
        (b"[]", "should be an object"),
        (b"null", "should be an object"),
        (b'{"error": "x"}', "choices: Field required"),
        (b'{"choices": []}', "choices: List should have at least 1 item"),
        (b'{"choices": [{}]}', "choices.0.message: Field required"),
        (body(None), "choices.0.message.content: there is none (finish_reason 'stop')"),
        (body(None, "content_filter"), "there is none (finish_reason 'content_filter')"),
        (body(7), "choices.0.message.content: Input should be a valid string"),
        (b'{"choices": [{"message": {"content": "\\ud800"}}]}', "Invalid JSON"),  # half a character, which no file can hold
    ],
)
def test_anything_else_is_no_completion(raw: bytes, message: str) -> None:
    with pytest.raises(NoCompletion) as error:
        read_completion(raw)
    assert message in str(error.value)


def test_models() -> None:
    assert read_models(b'{"object": "list", "data": [{"id": "a", "owned_by": "x"}, {"id": "b"}]}') == ["a", "b"]
    with pytest.raises(NoCompletion, match="data: Field required"):
        read_models(b"{}")
