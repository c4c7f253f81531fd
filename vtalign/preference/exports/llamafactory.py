"""Rows of LLaMA-Factory (`sharegpt` with `ranking`), as its `SharegptDatasetConverter` reads them.

Several rejected responses are several rows. A row has one `videos` column for both sides: it cannot compare two videos.
"""

from collections.abc import Mapping
from typing import Any

from vtalign.preference.exports.row import PreferenceRow, RowError, checked, one_video, refuse_fields, said
from vtalign.preference.exports.tags import MEDIA_TAGS, VIDEO_TAG, refuse_tags, without_tag
from vtalign.preference.exports.turns import OPENAI, SHAREGPT, TurnNames, texts_of, turn

DATASET_NAME = "vtalign_dpo"
DATASET_FILE = f"{DATASET_NAME}.json"


def dataset_info() -> dict[str, Any]:
    """`dataset_info.json`, which names the data file to LLaMA-Factory (`dataset: vtalign_dpo`, `dataset_dir:` the folder)."""
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "videos": "videos"}
    return {DATASET_NAME: {"file_name": DATASET_FILE, "formatting": "sharegpt", "ranking": True, "columns": columns}}


def to_llamafactory(row: PreferenceRow) -> dict[str, Any]:
    """One item of the JSON list. Raises RowError where a text holds a tag or the sides have two videos."""
    if row.rejected_video is not None:
        raise RowError("second_video", "a row of LLaMA-Factory has one video for both sides")
    refuse_tags(row, MEDIA_TAGS)
    tag = VIDEO_TAG if row.video is not None else ""
    return {
        "conversations": [turn(SHAREGPT, "human", tag + row.prompt)],
        "chosen": turn(SHAREGPT, "gpt", row.chosen),
        "rejected": turn(SHAREGPT, "gpt", row.rejected),
        "videos": [] if row.video is None else [row.video],
    }


def from_llamafactory(item: Mapping[str, Any]) -> PreferenceRow:
    """Also takes the names `messages`, `role` and `content`, and sides that are plain texts. Raises RowError."""
    refuse_fields(item, ("images", "audios", "system", "tools"), "pairs have a video, a prompt and two responses only")
    field = "conversations" if item.get("conversations") is not None else "messages"
    turns = item.get(field)
    if turns is None:
        raise RowError("missing_field", "has no `conversations`")
    first = turns[0] if isinstance(turns, list) and turns else None
    names = OPENAI if isinstance(first, Mapping) and "role" in first else SHAREGPT
    (prompt,) = texts_of(turns, names, (names.user,), field)
    video = one_video(item, "videos")
    row = PreferenceRow(
        without_tag(prompt, VIDEO_TAG, int(video is not None)),
        _side(item, "chosen", names),
        _side(item, "rejected", names),
        video,
    )
    refuse_tags(row, MEDIA_TAGS)
    return checked(row)


def _side(item: Mapping[str, Any], name: str, names: TurnNames) -> str:
    if item.get(name) is None:
        raise RowError("missing_field", f"has no `{name}`")
    if isinstance(item[name], str):
        return said(item[name], f"`{name}`")
    return texts_of([item[name]], names, (names.assistant,), name)[0]
