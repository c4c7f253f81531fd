"""The stage `answers`: the model answers what is asked about a video on each perturbed view of it, all in one go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from vtalign.ids import seed_from, stable_id
from vtalign.models.requests import Request
from vtalign.preference.pair import video_prompt
from vtalign.video.frames import FrameStore
from vtalign.video.view import VideoView
from vtalign_data.annotated.annotation import Annotation, prompt_of
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.stage import BatchResult, Row
from vtalign_data.writer import Writer, answer_columns, write_responses

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


@dataclass(frozen=True)
class AnswerRequest:
    """What is asked about a view, clean or perturbed. `view_id` is the clean one."""

    request_id: str
    video_id: str
    video: str
    view_id: str
    shown: VideoView
    annotation_id: str
    prompt: str


class Questioning:
    """How a run asks: everything but the view and the annotation that a request id depends on."""

    def __init__(self, config: AnnotationConfig, fingerprint: str, seed: int) -> None:
        self.config = config
        self._settings = (config.max_new_tokens, config.temperature, fingerprint, seed)
        self._seed = seed

    def request_id(self, shown_view_id: str, annotation: Annotation) -> str:
        return stable_id("answer", shown_view_id, prompt_of(annotation, self.config), *self._settings)

    def request(self, asked: AnswerRequest) -> Request:
        """As the model is asked; the seed is drawn from the request."""
        prompt, seed = video_prompt(asked.shown, asked.prompt), seed_from("answer", asked.request_id, self._seed)
        return Request(prompt, self.config.max_new_tokens, self.config.temperature, seed)


def write_answers(
    views: Sequence[Sequence[Row]],
    annotations: Mapping[str, Mapping[str, Annotation]],
    questioning: Questioning,
    writer: Writer,
    frames: FrameStore,
    batch_size: int,
) -> BatchResult:
    """Answers about one batch of views, each given by its perturbation rows; those that could not be had are lost, each with its reason.

    Requests about one view share its row in the model.
    """
    asked: dict[str, AnswerRequest] = {}
    for row, view in (shown for rows in views for shown in _shown(rows, questioning.config.require_known)):
        for annotation_id, annotation in annotations[row["video_id"]].items():
            request_id = questioning.request_id(view.view_id, annotation)
            prompt = prompt_of(annotation, questioning.config)
            about = (row["video_id"], row["video"], row["view_id"], view)
            # two captions of one video are one question
            asked.setdefault(request_id, AnswerRequest(request_id, *about, annotation_id, prompt))
    requests = [(request, questioning.request(request)) for request in asked.values()]
    written = write_responses(requests, writer, frames, batch_size)
    rows = [
        {
            "request_id": request.request_id,
            "video_id": request.video_id,
            "view_id": request.view_id,
            "shown_view_id": request.shown.view_id,
            "annotation_id": request.annotation_id,
            "prompt": request.prompt,
            **answer_columns(answer),
        }
        for request, answer in written.answers
    ]
    return BatchResult(rows, written.rejected, written.usage)


def _shown(rows: Sequence[Row], with_clean: bool) -> list[tuple[Row, VideoView]]:
    clean = [(rows[0], VideoView.from_json(rows[0]["view"]))] if with_clean else []
    return [*clean, *((row, VideoView.from_json(row["perturbed_view"])) for row in rows)]
