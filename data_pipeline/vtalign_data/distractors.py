"""Distractors: which other video of the corpus a perturbation may show beside the one it changes."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vtalign.ids import seed_from
from vtalign.video.perturb import PerturbationSpec
from vtalign.video.view import VideoView
from vtalign_data.stage import Row

POOL = 1024
"""Videos to choose from, at most, so that a corpus of any size takes bounded memory."""


@dataclass(frozen=True)
class Distractor:
    """A clean view of a video of the corpus, as JSON, and the path of the video."""

    video_id: str
    video: str
    view: str


def distractor_pool(rows: Iterable[Row], specs: Sequence[PerturbationSpec], seed: int) -> list[Distractor]:
    """The rows (of stage 4) whose videos may serve, drawn by content and seed, whatever their order; none where no spec asks.

    Copies of a video are no longer among the rows: stage 2 keeps one file of each content.
    """
    if not any(spec.needs_distractors for spec in specs):
        return []
    drawn = heapq.nsmallest(POOL, rows, key=lambda row: (seed_from("pool", seed, row["video_id"]), row["video_id"]))
    return [Distractor(row["video_id"], row["video"], row["view"]) for row in drawn]


def pick_distractor(row: Row, pool: Sequence[Distractor], seed: int) -> Distractor | None:
    """The one for this view: the same in every run, for any number of shards. None where the pool has no other video."""
    if not pool:
        return None
    place = seed_from("distractor", seed, row["view_id"]) % len(pool)
    turned = (*pool[place:], *pool[:place])
    return next((other for other in turned if other.video_id != row["video_id"]), None)


def view_of(distractor: Distractor) -> VideoView:
    return VideoView.from_json(distractor.view)
