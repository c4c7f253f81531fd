"""Captions and questions that come with a manifest, from its row to the table `annotations.parquet` of the run.

While they wait in the index an annotation is JSON of one row: {"id", "captions", "question", "answer", "options"}, absent where the row
has none. In the table it is one line per caption and one per question.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from vtalign.choices import normalise
from vtalign_data.ingest_config import ColumnConfig
from vtalign_data.stage import Row

ANNOTATIONS = "annotations.parquet"
SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("video", pa.string()),
        ("kind", pa.string()),  # caption | qa
        ("text", pa.string()),  # the caption
        ("question", pa.string()),
        ("answer", pa.string()),  # where there are options: the text of the right one
        ("options", pa.list_(pa.string())),  # null where there are none
        ("row", pa.int64()),  # line or row of the manifest, from 1
        ("id", pa.string()),  # the user's own id of the row
    ]
)


_MOST_OPTIONS = 26  # one letter each


class BadValue(ValueError):
    """A value that costs its row: a reason to count by and words for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def read_text(value: Any, column: str) -> str | None:
    """Text that may be kept, None where there is none (null, NaN, empty, blanks). Raises BadValue."""
    if value is None or _is_nan(value):
        return None
    if not isinstance(value, str):
        raise BadValue("wrong_type", f"{column}: expected text, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadValue("bad_utf8", f"{column}: is not valid UTF-8") from None
    return value if value.strip() else None


def read_annotation(values: dict[str, Any], columns: ColumnConfig) -> str | None:
    """What a row says of its video, as canonical JSON; None where it says nothing. Raises BadValue."""
    found: dict[str, Any] = {}
    if columns.caption is not None:
        captions = _texts(values.get(columns.caption), columns.caption)
        if captions:
            found["captions"] = captions
    if columns.question is not None and columns.answer is not None:
        question = read_text(values.get(columns.question), columns.question)
        answer = _plain(values.get(columns.answer), columns.answer)
        if question is None and answer is not None:
            raise BadValue("bad_annotation", f"{columns.answer}: an answer without question")
        if question is not None and answer is None:
            raise BadValue("bad_annotation", f"{columns.question}: a question without answer")
        if question is not None and answer is not None:
            options = _options(values, columns)
            found |= {"question": question, "answer": answer}
            if options:
                is_number = not isinstance(values[columns.answer], str)
                found |= {"answer": _right_option(answer, is_number, options, columns.answer), "options": options}
    if not found:
        return None
    if columns.id is not None:
        own = _plain(values.get(columns.id), columns.id)
        if own is not None:
            found["id"] = own
    return json.dumps(found, ensure_ascii=False, sort_keys=True)


def annotation_rows(video_id: str, video: str, row: int, annotation: str) -> Iterator[Row]:
    """The lines of the table that one annotation makes."""
    found = json.loads(annotation)
    line = dict.fromkeys(SCHEMA.names) | {"video_id": video_id, "video": video, "row": row, "id": found.get("id")}
    for caption in found.get("captions", ()):
        yield line | {"kind": "caption", "text": caption}
    if "question" in found:
        asked = {name: found.get(name) for name in ("question", "answer", "options")}
        yield line | {"kind": "qa", **asked}


def _plain(value: Any, column: str) -> str | None:
    """Text; whole numbers are taken as their digits (Parquet and JSON keep answers and ids as numbers)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return read_text(value, column)


def _is_nan(value: Any) -> bool:
    """NaN is how pandas writes that there is none."""
    return isinstance(value, float) and value != value


def _texts(value: Any, column: str) -> list[str]:
    if not isinstance(value, list):
        value = [value]
    return [text for item in value if (text := read_text(item, column)) is not None]


def _options(values: dict[str, Any], columns: ColumnConfig) -> list[str]:
    names = columns.option_columns
    if len(names) == 1:
        found = [_plain(item, names[0]) for item in _listed_options(values.get(names[0]), names[0])]
    else:
        found = [_plain(values.get(name), name) for name in names]
    options = [text for text in found if text is not None]
    plain = {normalise(option) for option in options}
    if options and (not 2 <= len(options) <= _MOST_OPTIONS or "" in plain or len(plain) < len(options)):
        said = f"expected 2 to {_MOST_OPTIONS} options that differ from each other, got {options!r:.80}"
        raise BadValue("bad_annotation", f"{', '.join(names)}: {said}")
    return options


def _listed_options(value: Any, name: str) -> list[Any]:
    """A list, or its JSON, as CSV has it."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadValue("bad_annotation", f"{name}: expected a JSON list of options, got {value[:80]!r}") from None
    if value is None or value == "" or _is_nan(value):
        return []
    if not isinstance(value, list):
        raise BadValue("wrong_type", f"{name}: expected a list of options, got {type(value).__name__}")
    return value


def _right_option(answer: str, is_number: bool, options: list[str], column: str) -> str:
    """The option that `answer` names: by its text, else by its letter (A, B, ..), else by its number from 0.

    `is_number`: the source says a number, not text. Some data sets mean the number of an option by it, others its text: where
    both are there and differ, nobody knows.
    """
    plain = answer.strip()
    number = int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 4 else None
    if len(plain) == 1 and plain.isascii() and plain.isalpha():
        number = ord(plain.upper()) - ord("A")
    numbered = options[number] if number is not None and number < len(options) else None
    said = next((option for option in options if normalise(option) == normalise(answer)), None)
    if is_number and said is not None and numbered is not None and said != numbered:
        detail = "is ambiguous: it is the text of one option and the number of another; give the letter"
        raise BadValue("bad_annotation", f"{column}: {plain} {detail}")
    found = said if said is not None else numbered
    if found is None:
        raise BadValue("bad_annotation", f"{column}: '{answer[:80]}' names none of the {len(options)} options")
    return found
