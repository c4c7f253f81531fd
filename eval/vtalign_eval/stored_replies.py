"""Replies that a program stored, brought together with the items they answer: JSONL rows of ours or of lmms-eval.

Ours are {question_id, reply}, as in `predictions.jsonl` and `samples_*.jsonl` (other fields do not matter). Those of lmms-eval
(`*_samples_<task>.jsonl`, read at release 0.7.3) name the question by `doc_id`, its place in the data; question and right answer
stand beside it and must be those of the item at that place.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from vtalign.config import Config, validate_config
from vtalign.errors import InputError
from vtalign_eval.grade import normalise
from vtalign_eval.items import Item, read_lines


@dataclass(frozen=True)
class StoredReplies:
    """Replies by question id; None is a null reply. `missing`: items without one. `unknown`: rows about no item; they count as nothing."""

    replies: dict[str, str | None]
    missing: int
    unknown: int

    @property
    def counts(self) -> dict[str, int]:
        null = sum(reply is None for reply in self.replies.values())
        return {"missing": self.missing, "null": null, "unknown": self.unknown}


class _OwnRow(Config):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    question_id: str
    reply: str | None


class _LmmsRow(Config):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    doc_id: int = Field(ge=0)
    input: str
    target: str
    # the filtered one stands alone where filtering changed nothing; both may be nested lists of one
    resps: Any = None
    filtered_resps: Any = None


def read_stored_replies(path: Path, items: Sequence[Item]) -> StoredReplies:
    """The replies in a file for `items`, in the order in which their benchmark has them.

    An empty file is a run that was stopped: everything is missing. Raises InputError for rows of another form, for a question that
    is answered twice, and where not one row is about one of `items`.
    """
    rows = list(read_lines(path))
    if rows and "question_id" not in rows[0][1]:
        if "doc_id" not in rows[0][1]:
            raise InputError(
                f"{path}:{rows[0][0]}: neither question_id (with reply) nor doc_id (of lmms-eval); found {_names(rows[0][1])}"
            )
        given = [_by_place(path, number, row, items) for number, row in rows]
    else:
        given = [_by_id(path, number, row) for number, row in rows]
    known = {item.question_id for item in items}
    replies = {name: reply for name, reply in given if name in known}
    twice = [name for name, count in Counter(name for name, _ in given if name in known).items() if count > 1]
    if twice:
        raise InputError(
            f"{path}: question '{twice[0]}' is answered more than once ({len(twice)} questions are); keep one reply of each"
        )
    if rows and not replies:
        raise InputError(f"{path}: none of its {len(rows)} rows is about one of the {len(items)} questions; is it of other data?")
    return StoredReplies(replies, missing=len(items) - len(replies), unknown=len(given) - len(replies))


def reply_of_lmms(row: dict[str, Any], where: str) -> str:
    """What the model said, of a samples row of lmms-eval. Raises InputError where the row holds no reply."""
    found = row.get("resps") if row.get("resps") is not None else row.get("filtered_resps")
    while isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, str):
        raise InputError(f"{where}: resps, filtered_resps: expected one reply, got {str(found)[:60]!r}")
    return found


def _by_id(path: Path, number: int, row: dict[str, Any]) -> tuple[str, str | None]:
    found = validate_config(_OwnRow, row, f"{path}:{number}")
    return found.question_id, found.reply


def _by_place(path: Path, number: int, row: dict[str, Any], items: Sequence[Item]) -> tuple[str | None, str | None]:
    """Question id (None where the row is not about the item at its place) and reply."""
    found = validate_config(_LmmsRow, row, f"{path}:{number}")
    reply = reply_of_lmms(row, f"{path}:{number}")
    if found.doc_id >= len(items):
        return None, reply
    item = items[found.doc_id]
    same = " ".join(item.question.split()) in " ".join(found.input.split()) and normalise(item.answer) == normalise(found.target)
    return (item.question_id if same else None), reply


def _names(row: dict[str, Any]) -> str:
    return ", ".join(row) or "an empty row"
