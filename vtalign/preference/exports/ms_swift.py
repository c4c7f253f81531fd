"""Rows of ms-swift (`swift rlhf --rlhf_type dpo`), as its `TemplateInputs.from_dict` reads them.

Several rejected responses are several rows. A rejected side about another video has `rejected_videos`; ms-swift copies from the
chosen side what the rejected one does not name.
"""

from collections.abc import Mapping
from typing import Any

from vtalign.preference.exports.row import PreferenceRow, RowError, checked, one_video, refuse_fields, said
from vtalign.preference.exports.tags import MEDIA_TAGS, VIDEO_TAG, refuse_tags, without_tag
from vtalign.preference.exports.turns import OPENAI, texts_of, turn

# ms-swift's template also splits texts at these (swift/template/base.py, `special_tokens`)
_TAGS = (*MEDIA_TAGS, "<bbox>", "<ref-object>", "<cot-process>", "<start-image>")
_OTHER = ("images", "audios", "objects", "tools", "rejected_images", "rejected_audios", "rejected_objects", "rejected_tools")


def to_ms_swift(row: PreferenceRow) -> dict[str, Any]:
    """One line of the JSONL file. Raises RowError where a text holds a tag."""
    refuse_tags(row, _TAGS)
    tag = VIDEO_TAG if row.video is not None else ""
    line: dict[str, Any] = {
        "messages": [turn(OPENAI, "user", tag + row.prompt), turn(OPENAI, "assistant", row.chosen)],
    }
    if row.rejected != row.chosen:  # ms-swift asserts that a rejected response differs
        line["rejected_response"] = row.rejected
    line["videos"] = [] if row.video is None else [row.video]
    if row.rejected_video is not None:
        line["rejected_videos"] = [row.rejected_video]
    return line


def from_ms_swift(line: Mapping[str, Any]) -> PreferenceRow:
    """Raises RowError."""
    refuse_fields(line, _OTHER, "pairs have videos and text only")
    prompt, chosen = texts_of(line.get("messages"), OPENAI, ("user", "assistant"), "messages")
    video, other = one_video(line, "videos"), one_video(line, "rejected_videos")
    if line.get("rejected_messages") is not None:
        asked, rejected = texts_of(line["rejected_messages"], OPENAI, ("user", "assistant"), "rejected_messages")
        if asked != prompt:
            raise RowError("two_prompts", "`rejected_messages` asks something else than `messages`; a pair has one prompt")
        if other is None and video is not None:
            # ms-swift copies no media beside rejected_messages: the rejected side would have seen nothing
            raise RowError("video_tags", "`rejected_messages` without `rejected_videos`: the rejected side has no video")
    elif isinstance(line.get("rejected_response"), list):
        (rejected,) = texts_of(line["rejected_response"], OPENAI, ("assistant",), "rejected_response")
    elif line.get("rejected_response") is not None:
        rejected = said(line["rejected_response"], "`rejected_response`")
    elif other is not None:
        rejected = chosen
    else:
        raise RowError("missing_field", "has none of `rejected_response`, `rejected_messages` and `rejected_videos`")
    row = PreferenceRow(
        without_tag(prompt, VIDEO_TAG, int(video is not None)),
        chosen,
        rejected,
        video=video,
        rejected_video=other if other != video else None,
    )
    refuse_tags(row, MEDIA_TAGS)
    return checked(row)
