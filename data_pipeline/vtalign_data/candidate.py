"""Candidate rows (what stages 7 and 8 write) as preference pairs."""

import json
from functools import lru_cache
from typing import Any

from vtalign.curriculum.difficulty import difficulty_from_strength
from vtalign.preference.pair import VIEW_KIND, AppliedPerturbation, PreferencePair
from vtalign.preference.spans import differing_spans
from vtalign.video.view import VideoView
from vtalign_data.stage import Row

# Neighbouring rows share their views: parse each once.
_view = lru_cache(maxsize=256)(VideoView.from_json)


@lru_cache(maxsize=256)
def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def candidate_pair(row: Row) -> PreferencePair:
    """The pair of a candidate row, not scored yet; its difficulty is the nominal one, by strength."""
    # a truth and a wrong answer have phrases that differ (RRPO); other sides are written anew, and training finds theirs
    spans = differing_spans(row["chosen"], row["rejected"]) if row["source"] == "annotation" else ((), ())
    return PreferencePair(
        pair_id=row["pair_id"],
        group_id=row["group_id"],
        video_id=row["video_id"],
        video=row["video"],
        other_videos=tuple((other["video_id"], other["video"]) for other in row["other_videos"]),
        view_id=row["view_id"],
        view=_view(row["view"]),
        sampling=_object(row["sampling"]),
        rejected_view=_view(row["perturbed_view"]) if row["kind"] == VIEW_KIND else None,
        perturbed_view=_view(row["perturbed_view"]),
        prompt=row["prompt"],
        chosen=row["chosen"],
        rejected=row["rejected"],
        source=row["source"],
        kind=row["kind"],
        perturbation=AppliedPerturbation(row["name"], row["strength"], row["seed"], _object(row["parameters"])),
        chosen_spans=spans[0],
        rejected_spans=spans[1],
        chosen_requests=tuple(row["chosen_requests"]),
        rejected_requests=tuple(row["rejected_requests"]),
        difficulty=difficulty_from_strength([row["pair_id"]], [row["strength"]])[0],
    )
