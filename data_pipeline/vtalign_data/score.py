"""Stage 10, score: what the model says of each pair on the clean and on the perturbed view (`vtalign.preference.scoring`)."""

import math
from collections.abc import Iterable, Sequence

import pyarrow as pa

from vtalign.errors import VideoError
from vtalign.models.video_lm import VideoLM
from vtalign.preference.schema import PAIR_SCHEMA
from vtalign.preference.scoring import count_rows, score_pairs, views_to_score
from vtalign.video.frames import FrameStore
from vtalign_data.candidate import candidate_pair
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.usage import Usage

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("pair_id", "group_id", "view_id", "fingerprint")),
        *((name, PAIR_SCHEMA.field(name).type) for name in ("scores", "token_logps")),
    ]
)


def score_candidates(views: Sequence[Sequence[Row]], model: VideoLM, frames: FrameStore, batch_size: int) -> BatchResult:
    """Scores of one batch of views, each given by its candidates; the pairs of a video that cannot be read are lost."""
    result = BatchResult()
    pairs = [candidate_pair(row) for rows in views for row in rows]
    errors: dict[str, VideoError] = frames.prefetch(views_to_score(pairs))
    readable = []
    for pair in pairs:
        error = next((errors[video_id] for video_id in pair.paths if video_id in errors), None)
        if error is None:
            readable.append(pair)
        else:
            result.rejected.append(Rejected(pair.pair_id, "failed", error.reason, f"{error.path}: {error.detail}"))
    for pair in score_pairs(model, readable, frames, batch_size=batch_size):
        scores, token_logps = pair.scores, pair.token_logps
        assert scores is not None and token_logps is not None
        measured = [value for value in vars(scores).values() if value is not None]
        if not all(math.isfinite(value) for value in measured):
            result.rejected.append(Rejected(pair.pair_id, "failed", "score_not_finite", f"{pair.video}: {scores}"))
            continue
        row = {"pair_id": pair.pair_id, "group_id": pair.group_id, "view_id": pair.view_id, "fingerprint": pair.fingerprint}
        result.rows.append({**row, "scores": vars(scores), "token_logps": vars(token_logps)})
    return BatchResult(result.rows, result.rejected, Usage(model_calls=count_rows(readable)))


def without_scores(candidates: Iterable[Row], kept: set[str]) -> list[Row]:
    """Rows of `kept` for a build without weights at hand: training scores the pairs itself."""
    nothing = {"fingerprint": None, "scores": None, "token_logps": None}
    return [{**row, **nothing} for row in candidates if row["pair_id"] in kept]
