"""The stage `answers`: the model answers what is asked about a video on each perturbed view of it, all in one go."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from vtalign.errors import VideoError
from vtalign.ids import seed_from, stable_id
from vtalign.models.requests import Request
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import video_prompt
from vtalign.video.frames import FrameStore
from vtalign.video.view import VideoView
from vtalign_data.annotated.annotation import Annotation, prompt_of
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.stage import BatchResult, Rejected, Row

SCHEMA = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("request_id", "video_id", "view_id", "shown_view_id", "annotation_id", "prompt", "text")
        ),
        ("tokens", pa.int64()),
        ("ended", pa.string()),
        ("stray", pa.list_(pa.string())),
    ]
)


class Questioning:
    """How a run asks: everything but the view and the annotation that a request id depends on."""

    def __init__(self, config: AnnotationConfig, fingerprint: str, seed: int) -> None:
        self.config = config
        self._settings = (config.max_new_tokens, config.temperature, fingerprint, seed)
        self._seed = seed

    def request_id(self, shown_view_id: str, annotation: Annotation) -> str:
        return stable_id("answer", shown_view_id, prompt_of(annotation, self.config), *self._settings)

    def seed_of(self, request_id: str) -> int:
        return seed_from("answer", request_id, self._seed)


def write_answers(
    views: Sequence[Sequence[Row]],
    annotations: Mapping[str, Mapping[str, Annotation]],
    questioning: Questioning,
    model: VideoLM,
    frames: FrameStore,
    batch_size: int,
) -> BatchResult:
    """Answers about one batch of views, each given by its perturbation rows; those of a video that cannot be read are lost.

    Requests about one view share its row in the model.
    """
    result = BatchResult()
    config = questioning.config
    shown_views = [(row, view) for rows in views for row, view in _shown(rows, config.require_known)]
    errors: dict[str, VideoError] = frames.prefetch([view for _, view in shown_views])
    asked: dict[str, Row] = {}
    requests: list[Request] = []
    for row, view in shown_views:
        error = next((errors[video_id] for video_id in view.video_ids if video_id in errors), None)
        for annotation_id, annotation in annotations[row["video_id"]].items():
            request_id, prompt = questioning.request_id(view.view_id, annotation), prompt_of(annotation, config)
            if request_id in asked:  # two captions of one video are one question
                continue
            if error is not None:
                result.rejected.append(Rejected(request_id, "failed", error.reason, f"{error.path}: {error.detail}"))
                continue
            asked[request_id] = {
                "request_id": request_id,
                "video_id": row["video_id"],
                "view_id": row["view_id"],
                "shown_view_id": view.view_id,
                "annotation_id": annotation_id,
                "prompt": prompt,
            }
            seed = questioning.seed_of(request_id)
            requests.append(Request(video_prompt(view, prompt), config.max_new_tokens, config.temperature, seed))
    written = model.generations(requests, frames, batch_size=batch_size)
    for row, answer in zip(asked.values(), written, strict=True):
        said = {"text": answer.text, "tokens": answer.tokens, "ended": answer.ended, "stray": list(answer.stray)}
        result.rows.append({**row, **said})
    return result


def _shown(rows: Sequence[Row], with_clean: bool) -> list[tuple[Row, VideoView]]:
    clean = [(rows[0], VideoView.from_json(rows[0]["view"]))] if with_clean else []
    return [*clean, *((row, VideoView.from_json(row["perturbed_view"])) for row in rows)]
