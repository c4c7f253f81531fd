"""A preference pair as a card: what the model was shown, what is preferred, and where the two responses differ."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
from markupsafe import Markup

from vtalign.report.diff import diff_words
from vtalign.report.frames import frame_strip
from vtalign.report.page import render


class StripData(TypedDict):
    """A view as pictures: `frames` uint8 (T, H, W, 3), a caption per frame, and of which clean segment each frame is (or None)."""

    frames: np.ndarray
    captions: Sequence[str]
    segments: NotRequired[Sequence[int] | None]


class PairCard(TypedDict):
    """What a pair's card needs. `title` names video and perturbation; `note` is a line of scores below."""

    title: str
    prompt: str
    chosen: str
    rejected: str
    clean: StripData
    perturbed: StripData
    note: NotRequired[str]


def pair_card(pair: PairCard) -> Markup:
    """The card; all texts are escaped."""
    chosen, rejected = diff_words(pair["chosen"], pair["rejected"])
    strips = [_strip("clean: what the chosen response describes", pair["clean"])]
    strips.append(_strip("perturbed: what the rejected response describes", pair["perturbed"]))
    return render(
        "pair.html.j2",
        title=pair["title"],
        prompt=pair["prompt"],
        strips=strips,
        chosen=chosen,
        rejected=rejected,
        note=pair.get("note", ""),
    )


def _strip(title: str, strip: StripData) -> Markup:
    return frame_strip(title, strip["frames"], strip["captions"], strip.get("segments"))
