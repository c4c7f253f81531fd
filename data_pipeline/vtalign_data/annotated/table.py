"""The stage `annotations`: rows of the user's file, joined with the videos by path."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vtalign.artifacts import parse_line
from vtalign.choices import normalise
from vtalign.errors import InputError
from vtalign_data.annotated.annotation import Annotation
from vtalign_data.annotated.config import AnnotationColumns
from vtalign_data.stage import BatchResult, Rejected, Row

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("annotation_id", "video_id", "video", "kind", "question", "truth")),
        ("options", pa.list_(pa.string())),
        ("place", pa.string()),
    ]
)

Placed = tuple[str, dict[str, Any]]
"""(where the row is: `file:line` of JSONL, `file:row`, from 0, of Parquet; its values by column)"""


class BadRow(ValueError):
    """A row that cannot be used: a reason to count by and words for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def read_rows(file: Path, columns: AnnotationColumns) -> list[Placed]:
    """All rows of a JSONL or Parquet file. Raises InputError where it cannot be read or lacks the column of the videos."""
    if not file.is_file():
        raise InputError(f"{file}: no such file of annotations")
    rows = list(_parquet(file, columns) if file.suffix == ".parquet" else _jsonl(file))
    if not rows:
        raise InputError(f"{file}: holds no annotations")
    return rows


def annotations_of(row: Mapping[str, Any], columns: AnnotationColumns) -> list[Annotation]:
    """What one row says of its video. Raises BadRow."""
    found: list[Annotation] = []
    captions = row.get(columns.caption) if columns.caption is not None else None
    for caption in captions if isinstance(captions, list) else [captions]:
        if caption is not None and (said := _text(caption, columns.caption or "")):
            found.append(Annotation("caption", "", said))
    question = row.get(columns.question) if columns.question is not None else None
    answer = row.get(columns.answer) if columns.answer is not None else None
    if question is not None or answer is not None:
        asked, right = _text(question, columns.question or ""), _answer(answer, columns.answer or "")
        if not asked or not right:
            raise BadRow("bad_annotation", "a question without answer" if asked else "an answer without question")
        options = _options(row.get(columns.options) if columns.options is not None else None, columns.options or "")
        found.append(Annotation("qa", asked, _right_option(right, options) if options else right, options))
    if not found:
        raise BadRow("no_annotation", "neither a caption nor a question with its answer")
    return found


def join(rows: Sequence[Placed], columns: AnnotationColumns, root: Path, known: Mapping[str, tuple[str, str]]) -> BatchResult:
    """The annotations of one batch of rows. `known`: (video_id, path) by path of every video, of its copies too."""
    result = BatchResult()
    for place, row in rows:
        try:
            video_id, video = _video(row.get(columns.video), columns.video, root, known)
            found = annotations_of(row, columns)
        except BadRow as error:
            result.rejected.append(Rejected(place, "failed", error.reason, error.detail))
            continue
        for annotation in found:
            result.rows.append(
                {
                    "annotation_id": annotation.id_for(video_id),
                    "video_id": video_id,
                    "video": video,
                    "kind": annotation.kind,
                    "question": annotation.question,
                    "truth": annotation.truth,
                    "options": list(annotation.options),
                    "place": place,
                }
            )
    return result


def by_video(rows: Iterator[Row]) -> dict[str, dict[str, Annotation]]:
    """video_id -> annotation_id -> annotation; what was said twice is there once."""
    found: dict[str, dict[str, Annotation]] = {}
    for row in rows:
        said = Annotation(row["kind"], row["question"], row["truth"], tuple(row["options"]))
        found.setdefault(row["video_id"], {})[row["annotation_id"]] = said
    return found


def _jsonl(file: Path) -> Iterator[Placed]:
    with file.open("rb") as handle:
        for number, line in enumerate(handle, 1):
            if line.strip():
                yield f"{file.name}:{number}", parse_line(file, number, line)


def _parquet(file: Path, columns: AnnotationColumns) -> Iterator[Placed]:
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file}: not a readable Parquet file: {str(error).splitlines()[0]}") from None
    if columns.video not in table.column_names:
        raise InputError(f"{file}: column {columns.video} is missing (there are {', '.join(table.column_names)})")
    named = [name for name in table.column_names if name in columns.model_dump().values()]
    for number, row in enumerate(table.select(named).to_pylist()):
        yield f"{file.name}:{number}", row


def _video(value: Any, column: str, root: Path, known: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    if not isinstance(value, str) or not value:
        raise BadRow("bad_annotation", f"{column}: expected a path, got {value!r:.60}")
    path = os.path.normpath(value)
    if os.path.isabs(path):
        path = os.path.relpath(path, root)
    if path not in known:
        raise BadRow("no_such_video", f"{value} is none of the videos that the build can show")
    return known[path]


def _text(value: Any, column: str) -> str:
    """Text that says something, '' where there is none. Raises BadRow."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRow("wrong_type", f"{column}: expected text, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRow("bad_utf8", f"{column}: holds half a surrogate pair, which no file can keep") from None
    return value.strip()


def _answer(value: Any, column: str) -> str:
    """Whole numbers are taken as their digits."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else _text(value, column)


def _options(value: Any, column: str) -> tuple[str, ...]:
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise BadRow("bad_annotation", f"{column}: expected a list of options, got {value[:60]!r}") from None
    if value is None or value == "" or value == []:
        return ()
    if not isinstance(value, list) or not 2 <= len(value) <= 26:
        raise BadRow("bad_annotation", f"{column}: expected a list of 2 to 26 options, got {value!r:.60}")
    options = tuple(_answer(item, column) for item in value)
    plain = [normalise(option) for option in options]
    if "" in plain or len(set(plain)) < len(plain):
        raise BadRow("bad_annotation", f"{column}: options must differ from each other and from nothing")
    return options


def _right_option(answer: str, options: tuple[str, ...]) -> str:
    """The option that `answer` names: by its text, else by its letter (A, B, ..), else by its number from 0. Raises BadRow."""
    for option in options:
        if normalise(option) == normalise(answer):
            return option
    number = int(answer) if answer.isascii() and answer.isdigit() and len(answer) < 4 else None
    if len(answer) == 1 and answer.isascii() and answer.isalpha():
        number = ord(answer.upper()) - ord("A")
    if number is None or number >= len(options):
        raise BadRow("bad_annotation", f"'{answer[:60]}' names none of the {len(options)} options")
    return options[number]
