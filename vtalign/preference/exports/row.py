"""`PreferenceRow`: what every format says of a pair, and `RowError`, what a format cannot say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vtalign.errors import VTAlignError
from vtalign.preference.pair import Spans


class RowError(VTAlignError):
    """One row cannot be written or read. Costs its line in `rejected.jsonl`; `reason` is a short stable word to count by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class PreferenceRow:
    """One prompt and two sides as texts and file names.

    `video`: None for a row of text alone. `rejected_video`: the other video of the rejected side (VDPO). `frames`: images of the
    video in the order in which they are shown, for a format that has images only. Spans are characters of the texts; where
    there are none, training finds them itself. `notes`: what was put right while the row was read, words to count by.
    """

    prompt: str
    chosen: str
    rejected: str
    video: str | None = None
    rejected_video: str | None = None
    frames: tuple[str, ...] = ()
    chosen_spans: Spans = ()
    rejected_spans: Spans = ()
    id: str = ""
    source: str = ""
    notes: tuple[str, ...] = ()


def text_field(row: Mapping[str, Any], name: str) -> str:
    """The text under `name`. Raises RowError where it is missing, no text or empty."""
    if row.get(name) is None:
        raise RowError("missing_field", f"has no `{name}`")
    return said(row[name], f"`{name}`")


def said(value: Any, name: str) -> str:
    """`value` as a text that says something. Raises RowError."""
    if not isinstance(value, str):
        raise RowError("wrong_type", f"{name}: expected a text, got {type(value).__name__}")
    if not value.strip():
        raise RowError("empty_text", f"{name} is empty")
    return encodable(value, name)


def encodable(value: str, name: str) -> str:
    """`value`, if it can be stored: JSON can spell half a character (`\\ud83d`), which no file holds. Raises RowError."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowError("not_unicode", f"{name} holds half a surrogate pair") from None
    return value


def paths_field(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The file names under `name`, which may be one or a list; none where it is missing. Raises RowError."""
    value = row.get(name)
    listed = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise RowError("wrong_type", f"`{name}`: expected a path or a list of paths, got {type(value).__name__}")
    if any(isinstance(item, list) for item in listed):
        raise RowError("frame_list", f"`{name}` lists frames as images; only video files can be sampled")
    if not all(isinstance(item, str) and item for item in listed):
        raise RowError("wrong_type", f"`{name}`: expected paths, got {listed!r:.80}")
    return tuple(encodable(item, f"`{name}`") for item in listed)


def one_video(row: Mapping[str, Any], name: str) -> str | None:
    """The one video under `name`, None where there is none. Raises RowError for several: a pair is about one video."""
    videos = paths_field(row, name)
    if len(videos) > 1:
        raise RowError("several_videos", f"`{name}` has {len(videos)} videos; a pair is about one")
    return videos[0] if videos else None


def refuse_fields(row: Mapping[str, Any], names: tuple[str, ...], why: str) -> None:
    """Raises RowError where one of `names` holds anything: leaving it out would change what the row means."""
    for name in names:
        if row.get(name):
            raise RowError("not_expressible", f"has `{name}`: {why}")


def checked(row: PreferenceRow) -> PreferenceRow:
    """The row, if its two sides differ. Raises RowError."""
    if row.chosen == row.rejected and row.rejected_video in (None, row.video):
        raise RowError("equal_sides", "chosen and rejected are the same, about the same video")
    return row
