"""Selection by reversal: how much the model's answer to a video changes when it runs backwards (ArrowRL, arXiv 2506.03340).

Two stages: a score per video, then what is kept, which needs the scores of all.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from vtalign.errors import PerturbationError, VideoError
from vtalign.models.requests import Request
from vtalign.models.requests import Row as ModelRow
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import video_prompt
from vtalign.video.frames import FrameStore
from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.view import VideoView
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.usage import Usage
from vtalign_data.video_selection_config import SelectConfig
from vtalign_data.writer import usage_of

REVERSAL_RULES = ("same_backwards", "below_min", "beyond_keep")
"""Reasons for which a video is filtered by its score, in the order in which they are looked at."""

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("view_id", "video_id", "video", "answer")),
        ("first_token_kl", pa.float64()),
        ("divergence", pa.float64()),
        ("same_backwards", pa.bool_()),
    ]
)

_NOISE = 16  # levels of 255 of one colour: encoders leave up to 9 in a picture that is held still
BACKWARDS = PerturbationSpec(name="reverse", strength=1, frames="reversed")


def score_reversals(
    rows: Sequence[Row], config: SelectConfig, model: VideoLM, frames: FrameStore, batch_size: int
) -> BatchResult:
    """Scores of one batch of views. The model's greedy answer to the video is compared, distribution by distribution, with what it
    would say at the same places of the video backwards. A video that shows the same backwards scores 0 without being asked.
    """
    result = BatchResult()
    views = {row["view_id"]: VideoView.from_json(row["view"]) for row in rows}
    errors: dict[str, VideoError] = frames.prefetch(views.values())
    turned: dict[str, VideoView] = {}
    readable = []
    for row in rows:
        error = errors.get(row["video_id"])
        if error is not None:
            result.rejected.append(Rejected(row["video"], "failed", error.reason, error.detail))
            continue
        readable.append(row)
        backwards = _backwards(views[row["view_id"]], frames)
        if backwards is not None:
            turned[row["view_id"]] = backwards
    asked = [row["view_id"] for row in readable if row["view_id"] in turned]
    prompts = [video_prompt(views[view_id], config.prompt) for view_id in asked]
    made = model.generations([Request(prompt, config.max_new_tokens) for prompt in prompts], frames, batch_size=batch_size)
    answers = [answer.text for answer in made]
    pairs = [
        ModelRow(shown, (answer,))
        for view_id, prompt, answer in zip(asked, prompts, answers, strict=True)
        for shown in (prompt, video_prompt(turned[view_id], config.prompt))
    ]
    against = {2 * index + 1: 2 * index for index in range(len(asked))}
    scored = model.score(pairs, frames, against=against, batch_size=batch_size)
    found = {view_id: (answers[index], scored[2 * index + 1][0]) for index, view_id in enumerate(asked)}
    for row in readable:
        known = {name: row[name] for name in ("view_id", "video_id", "video")}
        if row["view_id"] not in found:
            result.rows.append({**known, "answer": None, "first_token_kl": 0.0, "divergence": 0.0, "same_backwards": True})
            continue
        answer, score = found[row["view_id"]]
        numbers = {"first_token_kl": score.first_token_kl, "divergence": score.divergence}
        if not all(value is not None and math.isfinite(value) for value in numbers.values()):
            result.rejected.append(Rejected(row["video"], "failed", "score_not_finite", str(numbers)))
            continue
        result.rows.append({**known, "answer": answer, **numbers, "same_backwards": False})
    return BatchResult(result.rows, result.rejected, usage_of(made) + Usage(model_calls=len(pairs)))


def select_videos(rows: Sequence[Row], config: SelectConfig) -> BatchResult:
    """Of all scored videos those above `min`, and of these the share `keep` with the highest scores (rounded up; equal scores by
    view id)."""
    result = BatchResult()
    above = []
    for row in rows:
        score = row[config.by]
        if row["same_backwards"]:
            result.rejected.append(Rejected(row["video"], "filtered", "same_backwards", "the video shows the same backwards"))
        elif score <= config.min:
            detail = f"{config.by} {score:.4g} nats, select.min is {config.min:g}"
            result.rejected.append(Rejected(row["video"], "filtered", "below_min", detail))
        else:
            above.append(row)
    ranked = sorted(above, key=lambda row: (-row[config.by], row["view_id"]))
    # a hair of tolerance: 0.3 of 10 is 3
    count = math.ceil(config.keep * len(ranked) - 1e-9)
    for row in ranked[count:]:
        detail = f"{config.by} {row[config.by]:.4g} nats, the best {count} of {len(ranked)} have {ranked[count - 1][config.by]:.4g} or more"
        result.rejected.append(Rejected(row["video"], "filtered", "beyond_keep", detail))
    kept = {row["view_id"] for row in ranked[:count]}
    result.rows.extend(row for row in rows if row["view_id"] in kept)
    return result


def distribution(rows: Sequence[Row], by: str) -> dict[str, Any]:
    """How the scores of all videos lie, nats, for the report."""
    scores = np.array([row[by] for row in rows])
    levels = {"least": 0.0, "10 %": 0.1, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "90 %": 0.9, "most": 1.0}
    quantiles = {name: round(float(np.quantile(scores, level)), 6) for name, level in levels.items()} if len(scores) else {}
    return {"by": by, "videos": len(rows), "same_backwards": sum(row["same_backwards"] for row in rows), "quantiles": quantiles}


def _backwards(view: VideoView, frames: FrameStore) -> VideoView | None:
    """The view reversed; None where it shows the same: the same frames, or frames of which no pixel differs visibly."""
    try:
        reversed_view = perturb(view, BACKWARDS, seed=0).view
    except PerturbationError:
        return None
    pixels = frames.frames(view).astype(np.int16)
    return None if np.abs(pixels - pixels[::-1]).max() <= _NOISE else reversed_view
