"""Conversations of one question and one answer, under the names that the formats give to speaker and text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtalign.preference.exports.row import RowError, said


@dataclass(frozen=True)
class TurnNames:
    """Keys of a turn (`role`, `content` or `from`, `value`), and who counts as the user and as the assistant."""

    speaker: str
    text: str
    user: str
    assistant: str


OPENAI = TurnNames("role", "content", "user", "assistant")
SHAREGPT = TurnNames("from", "value", "human", "gpt")


def turn(names: TurnNames, speaker: str, text: str) -> dict[str, str]:
    return {names.speaker: speaker, names.text: text}


def texts_of(turns: Any, names: TurnNames, speakers: Sequence[str], field: str) -> list[str]:
    """The texts of `turns`, which have to be by `speakers`. Raises RowError."""
    if not isinstance(turns, list) or not all(isinstance(item, Mapping) for item in turns):
        raise RowError("wrong_type", f"`{field}`: expected a list of turns")
    found = [str(item.get(names.speaker)) for item in turns]
    if found and found[0] == "system":
        raise RowError("not_expressible", f"`{field}` has a system text; prompts have none")
    if found != list(speakers):
        shown = ", ".join(found) or "none"
        raise RowError("turns", f"`{field}`: expected the turns {', '.join(speakers)}, got {shown:.80}")
    return [said(item.get(names.text), f"`{field}`: the {names.text} of {item[names.speaker]}") for item in turns]
