"""Stages 6 to 7: how a build has its model describe clips and views, and what candidates are made of that."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import pyarrow as pa

from vtalign.models.requests import FrameSource
from vtalign.video.frames import FrameStore
from vtalign_data import responses, view_responses
from vtalign_data.caption_responses import FromCaptions
from vtalign_data.captions import SCHEMA as CAPTIONS
from vtalign_data.captions import Asking, clip_requests, write_captions
from vtalign_data.config import BuildConfig
from vtalign_data.responses import Composer, JoinComposer, ModelComposer, ResponseSource
from vtalign_data.runners.task import WRITER, Task, task
from vtalign_data.stage import BatchResult, Row, RunStage, Stage
from vtalign_data.view_responses import FromViews, ViewAsking, view_requests, write_view_responses
from vtalign_data.writer import Traced, Writer

T = TypeVar("T")
R = TypeVar("R", bound=Traced)

Answers = dict[str, Row]
"""What the model wrote, by request id."""
Views = Sequence[Sequence[Row]]
"""Perturbation rows, those of a view together."""


class Telling:
    """The stages from captions to candidates, for the pairs that `config.sources` and the input that `config.responses` name."""

    def __init__(self, run_stage: RunStage, config: BuildConfig, fingerprint: str, frames: FrameStore) -> None:
        self._run_stage, self._config, self._frames = run_stage, config, frames
        self.asking = Asking(config.captions, fingerprint, config.seed)
        self._view_asking = ViewAsking(config, self.asking, fingerprint)

    def clips(self, views: Views) -> Answers:
        """Stage 6; left out where nothing is made of captions."""
        config = self._config
        rows = (row for rows in views for row in rows)
        requests = clip_requests(rows, self.asking, single=config.tells_clips, told=config.tells_captions)
        work = task(write_captions, self.asking, WRITER, self._frames, config.model_batch_size)
        return self._answers("06-captions", "clip", CAPTIONS, requests, work)

    def views(self, views: Views) -> Answers:
        """Stage 6b; left out where responses are told from captions, or not at all."""
        if not self._config.tells_views:
            return {}
        requests = view_requests((row for rows in views for row in rows), self._view_asking)
        work = task(write_view_responses, self._view_asking, WRITER, self._frames, self._config.model_batch_size)
        return self._answers("06b-view-responses", "response", view_responses.SCHEMA, requests, work)

    def candidates(self, views: Views, captions: Answers, told: Answers, placeholders: Sequence[str]) -> Stage:
        """Stage 7."""
        config = self._config
        arguments = (captions, told, self.asking, self._view_asking, config)
        if config.tells_captions and config.composer.method == "model":
            work = self._written(task(make_told, *arguments, tuple(placeholders), WRITER, self._frames))
        else:
            work = task(make_told, *arguments)
        return self._run_stage(
            "07-responses",
            ("video", "pair"),
            responses.SCHEMA,
            views if {"self", "text"} & set(config.sources) else [],
            lambda rows: str(rows[0]["view_id"]),
            work,
            config.batch_size,
            required="annotation" not in config.sources,
        )

    def _answers(self, name: str, unit: str, schema: pa.Schema, requests: Sequence[R], work: Task[R]) -> Answers:
        if not requests:
            return {}
        work = self._written(work)
        stage = self._run_stage(
            name, (unit, unit), schema, requests, lambda request: request.request_id, work, self._config.batch_size
        )
        return {row["request_id"]: row for row in stage.rows(["request_id", "text", "stray", "ended"])}

    def _written(self, work: Task[T]) -> Task[T]:
        return work.gathered() if self._config.server else work


def make_told(
    views: Views,
    captions: Mapping[str, Row],
    told: Mapping[str, Row],
    asking: Asking,
    view_asking: ViewAsking,
    config: BuildConfig,
    placeholders: Sequence[str] = (),
    writer: Writer | None = None,
    frames: FrameSource | None = None,
) -> BatchResult:
    """Candidates of one batch of views. `placeholders`, `writer`, `frames`: for a model that merges captions."""
    source: ResponseSource | None = None
    if config.tells_views:
        source = FromViews(view_asking, told, config.responses.input)
    elif config.tells_captions:
        composers: list[Composer] = [JoinComposer(config.composer)]
        if writer is not None and frames is not None:
            composers = [
                ModelComposer(config.composer, writer, frames, config.model_batch_size, config.seed, sample)
                for sample in range(config.responses.samples)
            ]
        source = FromCaptions(asking, captions, composers, placeholders)
    return responses.make_candidates(views, captions, asking, source, config)
