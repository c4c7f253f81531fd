"""`<video>` and its kin: tags inside texts that stand for media. Whatever looks like one is counted as one by the trainers."""

from collections.abc import Sequence

from vtalign.preference.exports.row import PreferenceRow, RowError

VIDEO_TAG, IMAGE_TAG = "<video>", "<image>"
MEDIA_TAGS = (VIDEO_TAG, IMAGE_TAG, "<audio>")


def refuse_tags(row: PreferenceRow, tags: Sequence[str]) -> None:
    """Raises RowError where a text holds one of `tags`. No format has an escape for them, so the text cannot be said in it."""
    for side in ("prompt", "chosen", "rejected"):
        found = next((tag for tag in tags if tag in getattr(row, side)), None)
        if found:
            raise RowError("tag_in_text", f"{side} holds {found}, which this format takes for a tag")


def without_tag(text: str, tag: str, expected: int) -> str:
    """The prompt `text` without its one media tag and the line breaks beside it.

    A pair shows its video before the text: a tag may lead or end the prompt, not stand inside it. Raises RowError, also where
    the number of tags is not `expected` (0 or 1).
    """
    pieces = text.split(tag)
    if len(pieces) - 1 != expected:
        raise RowError("video_tags", f"{len(pieces) - 1} {tag} tags in the prompt for {expected} videos")
    told = [piece for piece in pieces if piece.strip()]
    if not told:
        raise RowError("empty_text", "the prompt holds no text")
    if len(told) > 1:
        raise RowError("video_tags", f"{tag} stands inside the prompt; a pair shows its video before the text")
    return told[0].strip("\n") if expected else text
