"""A conflict group as a card: one question, its sibling videos as frame strips, what is right of each and what was said."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from markupsafe import Markup

from vtalign.report.frames import frame_strip, small_picture
from vtalign.report.page import render

_LONGEST = 400


class TitledStrip(TypedDict):
    """Frames uint8 (T, H, W, 3), a caption each, and what they are (the video itself, or what the model was shown of it)."""

    title: str
    frames: np.ndarray
    captions: Sequence[str]


class Said(TypedDict):
    """What one model said of one video. `text` is None where there is no reply; `note` says how the reply was read."""

    who: str
    text: str | None
    correct: bool
    note: str


class Sibling(TypedDict):
    """One video of a group. `no_strips` says why there are no frames, or what is left out."""

    video: str
    answer: str
    strips: Sequence[TitledStrip]
    no_strips: str
    replies: Sequence[Said]


class GroupCard(TypedDict):
    """`options` are those that the question does not spell out itself."""

    title: str
    question: str
    options: Sequence[str]
    siblings: Sequence[Sibling]
    note: NotRequired[str]


def group_card(group: GroupCard) -> Markup:
    """The card; all texts are escaped, and cut where they are endless. Right and wrong are spelt out beside their colour."""
    return render(
        "group.html.j2",
        title=group["title"],
        question=shortened(group["question"], 4 * _LONGEST),
        options=group["options"],
        siblings=[_sibling(sibling) for sibling in group["siblings"]],
        note=group.get("note", ""),
    )


def shortened(text: str, longest: int = _LONGEST) -> str:
    """At most `longest` characters, and then how many there are."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text):,} characters)"


def _sibling(sibling: Sibling) -> dict[str, Any]:
    strips = [frame_strip(s["title"], s["frames"], s["captions"], encode=small_picture) for s in sibling["strips"]]
    replies = [{**said, "text": _quoted(said["text"])} for said in sibling["replies"]]
    return {**sibling, "strips": strips, "answer": shortened(sibling["answer"]), "replies": replies}


def _quoted(text: str | None) -> str:
    if not text:
        return "no reply" if text is None else "an empty reply"
    return f"“{shortened(text)}”"
