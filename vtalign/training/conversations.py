"""What an sft stage reads: LLaVA `conversations`, ms-swift `messages`, captions. Told apart row by row; no pixels here."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtalign.artifacts import parse_line
from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign.training.config import SFTStage

VIDEO_TAG, _IMAGE_TAG = "<video>", "<image>"
CAPTION_PROMPT = "Describe the video."

Row = Mapping[str, Any]
Turns = Sequence[tuple[str | None, Any]]
"""(speaker, text) of each turn; the speaker is None where the row names nobody known."""

_LLAVA = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
_SWIFT = {"user": "user", "assistant": "assistant"}
_OTHER_MEDIA = ("image", "images", "audio", "audios")


@dataclass(frozen=True)
class Conversation:
    """One question and its answer, its videos not looked at yet. `texts` has a piece more than `videos`, which stand between."""

    id: str
    texts: tuple[str, ...]
    videos: tuple[str, ...]
    response: str


def read_conversations(stage: SFTStage) -> tuple[list[Conversation], int]:
    """The exchanges of a file (.jsonl, or .json with a list), and how many of its rows had several.

    A row of several exchanges becomes one row for each, every one with the videos of the first: history is not shown, which is
    how question lists about one video are written. Raises InputError that names file and row.
    """
    if not stage.data.is_file():
        raise InputError(f"{stage.data}: no such file")
    conversations: list[Conversation] = []
    rows = several = 0
    for number, row in enumerate(_rows(stage.data), 1):
        rows += 1
        exchanges = _exchanges(row, f"{stage.data}: row {number}")
        several += len(exchanges) > 1
        conversations += exchanges
    if not rows:
        raise InputError(f"{stage.data}: holds no rows")
    return conversations, several


def _rows(path: Path) -> Iterator[Row]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    if path.suffix != ".json":
        # unlike in our own logs, the last line counts without a newline too
        yield from (parse_line(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: expected a list of objects")
    yield from rows


def _exchanges(row: Row, at: str) -> list[Conversation]:
    form = next((name for name in _FORMATS if row.get(name) is not None), None)
    if form is None:
        raise InputError(f"{at}: has none of `conversations` (LLaVA), `messages` (ms-swift) and `caption`")
    for name in _OTHER_MEDIA:
        if row.get(name):
            raise InputError(f"{at}: has {name}; only videos and text are trained on")
    videos = _videos(row, at)
    turns = _FORMATS[form](row, at)
    if not turns or [speaker for speaker, _ in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise InputError(f"{at}: {_ORDER[form]}")
    texts_said: list[str] = [text for _, text in turns]
    if not all(isinstance(text, str) and text.strip() for text in texts_said):
        raise InputError(f"{at}: a turn has no text")
    name = str(row.get("id", stable_id("row", row[form], list(videos))))
    exchanges = []
    for number, (question, answer) in enumerate(zip(texts_said[::2], texts_said[1::2], strict=True)):
        # only the first turn carries the tags; later ones are about the same videos
        tagged = question if number == 0 else VIDEO_TAG * len(videos) + question.replace(VIDEO_TAG, "")
        texts = tuple(piece.strip("\n") for piece in tagged.split(VIDEO_TAG))
        if len(texts) != len(videos) + 1:
            raise InputError(f"{at}: {len(texts) - 1} {VIDEO_TAG} tags for {len(videos)} videos")
        exchanges.append(Conversation(f"{name}#{number}" if len(turns) > 2 else name, texts, videos, answer))
    return exchanges


def _videos(row: Row, at: str) -> tuple[str, ...]:
    given = row["video"] if row.get("video") is not None else row.get("videos")
    listed = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(listed, list) or not all(isinstance(video, str) for video in listed):
        raise InputError(f"{at}: video {given!r}: expected a path, or a list of paths")
    return tuple(listed)


def _llava(row: Row, at: str) -> Turns:
    """`{"conversations": [{"from": "human", "value": "<video>\\nWhat ..?"}, {"from": "gpt", "value": ".."}], "video": "a.mp4"}`"""
    turns = row["conversations"]
    if not isinstance(turns, list) or len(turns) < 2:
        raise InputError(f"{at}: `conversations` must be a list of at least two turns")
    said = [(_LLAVA.get(str(t.get("from"))), t.get("value")) if isinstance(t, dict) else (None, None) for t in turns]
    if row.get("video") is None or any(isinstance(text, str) and VIDEO_TAG in text for _, text in said):
        return said
    # LLaVA-Video's own files write the tag of an image where the row has a video
    return [(speaker, text.replace(_IMAGE_TAG, VIDEO_TAG) if isinstance(text, str) else text) for speaker, text in said]


def _swift(row: Row, at: str) -> Turns:
    """`{"messages": [{"role": "user", "content": "<video>What ..?"}, {"role": "assistant", ..}], "videos": ["a.mp4"]}`

    What would change the meaning of a row and has no place here is refused: a system text, which prompts do not have; answers
    that are not to be learned; boxes and tools.
    """
    messages = row["messages"]
    if not isinstance(messages, list) or len(messages) < 2:
        raise InputError(f"{at}: `messages` must be a list of at least two messages")
    for name in ("objects", "tools"):
        if row.get(name):
            raise InputError(f"{at}: has {name}, which are not trained on")
    turns: list[tuple[str | None, Any]] = []
    for message in messages:
        said = message if isinstance(message, dict) else {}
        if said.get("role") == "system" or row.get("system"):
            raise InputError(f"{at}: has a system text; prompts have none: remove it, or say it in the user's first message")
        if said.get("loss", True) in (False, 0):
            raise InputError(f"{at}: has a message with loss false; leave out the answers that are not to be learned")
        turns.append((_SWIFT.get(str(said.get("role"))), said.get("content")))
    return turns


def _caption(row: Row, at: str) -> Turns:
    """`{"video": "a.mp4", "caption": ".."}`: the answer to `CAPTION_PROMPT`."""
    if len(_videos(row, at)) != 1:
        raise InputError(f"{at}: a caption needs its `video`")
    return [("user", f"{VIDEO_TAG}\n{CAPTION_PROMPT}"), ("assistant", row["caption"])]


_FORMATS: dict[str, Callable[[Row, str], Turns]] = {"conversations": _llava, "messages": _swift, "caption": _caption}
_ORDER = {
    "conversations": "turns must be human, gpt, human, gpt, ..",
    "messages": "messages must be user, assistant, user, assistant, ..",
}
