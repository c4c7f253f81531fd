"""Rows of TRL's vision preference format (`DPOTrainer`, 1.16): `images`, and conversational `prompt`, `chosen`, `rejected`.

TRL has no rows with video, so a video is its frames as images, in the order in which the model is shown them. The content of the
prompt is plain text: TRL puts all `images` before the first user text, which is where a pair has its video, and image parts of our own
would come back from Parquet with empty text fields, because Arrow gives all parts of a list the same fields. TRL reads no other
columns; `video` says where the frames are from, for whoever reads the file again.
"""

from collections.abc import Mapping
from typing import Any

from vtalign.preference.exports.row import PreferenceRow, RowError, checked, one_video, said
from vtalign.preference.exports.tags import MEDIA_TAGS, refuse_tags
from vtalign.preference.exports.turns import OPENAI, texts_of, turn

DATA_FILE = "train.parquet"
COLUMNS = ("prompt", "chosen", "rejected", "video")  # what is read again; `images` are bytes or names of files


def features() -> dict[str, Any]:
    """The columns as `datasets` describes them, so that `load_dataset` opens `images` as images."""
    text = {"dtype": "string", "_type": "Value"}
    turns = {"feature": {"role": text, "content": text}, "_type": "List"}
    images = {"feature": {"_type": "Image"}, "_type": "List"}
    return {"prompt": turns, "chosen": turns, "rejected": turns, "images": images, "video": text}


def to_trl(row: PreferenceRow) -> dict[str, Any]:
    """One row; `images` are file names. Raises RowError where the sides have two videos or a text holds a tag."""
    if row.rejected_video is not None:
        raise RowError("second_video", "a row of TRL has one list of images for both sides")
    refuse_tags(row, MEDIA_TAGS)  # the processors of several families count them in the rendered text
    return {
        "prompt": [turn(OPENAI, "user", row.prompt)],
        "chosen": [turn(OPENAI, "assistant", row.chosen)],
        "rejected": [turn(OPENAI, "assistant", row.rejected)],
        "images": list(row.frames),
        "video": row.video,
    }


def from_trl(row: Mapping[str, Any]) -> PreferenceRow:
    """Raises RowError, also where the row has images and does not say of which video."""
    video = one_video(row, "video")
    images = row.get("images") or row.get("image")
    if video is None and images:
        raise RowError("no_video", "has images and no `video` that they are frames of")
    read = PreferenceRow(
        _side(row, "prompt", "user"), _side(row, "chosen", "assistant"), _side(row, "rejected", "assistant"), video
    )
    refuse_tags(read, MEDIA_TAGS)
    return checked(read)


def _side(row: Mapping[str, Any], name: str, speaker: str) -> str:
    """The text of a side: a plain one, or one turn whose content is a text or parts of text and images."""
    turns = row.get(name)
    if turns is None:
        raise RowError("missing_field", f"has no `{name}`")
    if isinstance(turns, str):
        return said(turns, f"`{name}`")
    flat = [_flat(item, name) for item in turns] if isinstance(turns, list) else turns
    return texts_of(flat, OPENAI, (speaker,), name)[0]


def _flat(item: Any, name: str) -> Any:
    """A turn with the text of its parts as its content; images among them are the frames of the video."""
    parts = item.get("content") if isinstance(item, Mapping) else None
    if not isinstance(parts, list):
        return item
    if not all(isinstance(part, Mapping) and part.get("type") in ("text", "image") for part in parts):
        raise RowError("not_expressible", f"`{name}` has parts that are neither text nor image")
    texts = [said(part.get("text"), f"`{name}`: a text part") for part in parts if part["type"] == "text"]
    return {**item, "content": "\n".join(texts)}
