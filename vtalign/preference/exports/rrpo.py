"""RRPO's sample JSON (https://github.com/pritamqu/RRPO, docs/DATA.md), with the phrases that differ in `<MASK>` tags."""

from collections.abc import Mapping
from typing import Any

from vtalign.preference.exports.masks import MASK_TAGS, has_mask_tag, masked_text, read_masks
from vtalign.preference.exports.row import PreferenceRow, RowError, checked, one_video, said, text_field
from vtalign.preference.exports.tags import IMAGE_TAG, MEDIA_TAGS, VIDEO_TAG, refuse_tags, without_tag
from vtalign.preference.pair import Spans
from vtalign.preference.spans import differing_spans

DATA_FILE = "rrpo.json"


def to_rrpo(row: PreferenceRow) -> dict[str, Any]:
    """One item of the JSON list. Raises RowError: a text holds a tag, two videos, no phrase that differs.

    A row without spans of its own gets those of a diff by words, as in training.
    """
    if row.rejected_video is not None:
        raise RowError("second_video", "a sample of RRPO has one video for both responses")
    if row.video is None:
        raise RowError("no_video", "a sample of RRPO is about a video")
    refuse_tags(row, (*MEDIA_TAGS, *MASK_TAGS))
    given = row.chosen_spans, row.rejected_spans
    chosen, rejected = given if any(given) else differing_spans(row.chosen, row.rejected)
    if not chosen or not rejected:
        raise RowError("no_phrases", "a response has no word that the other has not; RRPO's trainer passes over such a sample")
    return {
        # LLaVA's tag of an image stands for the video in RRPO's data
        "question": f"{IMAGE_TAG}\n{row.prompt}",
        "answer": row.chosen,
        "pred": row.rejected,
        "answer_masked": masked_text(row.chosen, chosen),
        "pred_masked": masked_text(row.rejected, rejected),
        "src": row.source,
        "sample_id": row.id,
        "video": row.video,
        "media_path": row.video,  # the name that its trainer reads
    }


def from_rrpo(item: Mapping[str, Any]) -> PreferenceRow:
    """Takes `media_path`, the name that RRPO's trainer reads, where there is no `video`. Raises RowError.

    Masks that are of another text than the response are left out on both sides, so that training finds the phrases itself.
    """
    question, chosen, rejected = (text_field(item, name) for name in ("question", "answer", "pred"))
    for name, text in (("answer", chosen), ("pred", rejected)):
        if has_mask_tag(text):
            raise RowError("tag_in_text", f"`{name}` itself holds a {MASK_TAGS[0]} tag")
    video = one_video(item, "video" if item.get("video") is not None else "media_path")
    if video is None:
        raise RowError("no_video", "names no video, and a sample of RRPO is about one")
    tag = VIDEO_TAG if VIDEO_TAG in question else IMAGE_TAG
    # questions of some of its sources come without the tag; the video is shown all the same
    prompt = without_tag(question, tag, int(tag in question))
    spans, notes = _phrases(item, chosen, rejected)
    row = PreferenceRow(
        prompt,
        chosen,
        rejected,
        video=video,
        chosen_spans=spans[0],
        rejected_spans=spans[1],
        id=str(item.get("sample_id", "")),
        source=str(item.get("src", "")),
        notes=notes,
    )
    refuse_tags(row, MEDIA_TAGS)
    return checked(row)


def _phrases(item: Mapping[str, Any], chosen: str, rejected: str) -> tuple[tuple[Spans, Spans], tuple[str, ...]]:
    """(spans of the two sides, notes)."""
    masked = [item.get(name) for name in ("answer_masked", "pred_masked")]
    if all(text is None for text in masked):
        return ((), ()), ()
    found = []
    for text, clean, name in zip(masked, (chosen, rejected), ("answer_masked", "pred_masked"), strict=True):
        read = None if text is None else read_masks(said(text, f"`{name}`"), clean)
        if read is None:
            return ((), ()), ("masks_of_another_text",)
        found.append(read)
    (ours, ours_paired), (theirs, theirs_paired) = found
    return (ours, theirs), () if ours_paired and theirs_paired else ("odd_mask_tags",)
