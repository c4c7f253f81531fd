"""`Telling`: how one build has its model describe clips and views, and what candidates are made of that."""

from collections.abc import Mapping, Sequence

from vtalign.video.frames import FrameStore
from vtalign_data.caption_responses import FromCaptions
from vtalign_data.captions import Asking, ClipRequest, clip_requests, write_captions
from vtalign_data.config import BuildConfig
from vtalign_data.responses import Composer, JoinComposer, ModelComposer, ResponseSource, make_candidates
from vtalign_data.run_model import RunModel
from vtalign_data.stage import BatchResult, Row
from vtalign_data.view_responses import FromViews, ViewAsking, ViewRequest, view_requests, write_view_responses

Views = Sequence[Sequence[Row]]
"""Perturbation rows, those of a view together."""


class Telling:
    """The stages from captions to candidates, for the input that `config.responses` names. The model is loaded when first asked."""

    def __init__(self, config: BuildConfig, model: RunModel, frames: FrameStore) -> None:
        self._config, self._model, self._frames = config, model, frames
        self._asking = Asking(config.captions, model.writer_fingerprint, config.seed)
        self._view_asking = ViewAsking(config, self._asking, model.writer_fingerprint)

    def clip_requests(self, views: Views) -> list[ClipRequest]:
        """None where nothing is made of captions."""
        config = self._config
        rows = (row for rows in views for row in rows)
        single, told = bool(config.questions.kinds), config.responses.input == "caption"
        return clip_requests(rows, self._asking, single=single, told=told)

    def write_captions(self, batch: Sequence[ClipRequest]) -> BatchResult:
        return write_captions(batch, self._asking, self._model.writer, self._frames, self._config.model_batch_size)

    def view_requests(self, views: Views) -> list[ViewRequest]:
        """None where responses are told from captions."""
        if self._config.responses.input == "caption":
            return []
        return view_requests((row for rows in views for row in rows), self._view_asking)

    def write_view_responses(self, batch: Sequence[ViewRequest]) -> BatchResult:
        return write_view_responses(batch, self._view_asking, self._model.writer, self._frames, self._config.model_batch_size)

    def make_candidates(
        self, views: Views, captions: Mapping[str, Row], told: Mapping[str, Row], placeholders: Sequence[str]
    ) -> BatchResult:
        source = self._source(captions, told, placeholders)
        return make_candidates(views, captions, self._asking, source, self._config)

    def _source(self, captions: Mapping[str, Row], told: Mapping[str, Row], placeholders: Sequence[str]) -> ResponseSource:
        config = self._config
        if config.responses.input != "caption":
            return FromViews(self._view_asking, told, config.responses.input)
        composers: list[Composer]
        if config.composer.method == "join":
            composers, placeholders = [JoinComposer(config.composer)], ()
        else:
            batch_size, samples = config.model_batch_size, range(config.responses.samples)
            composers = [
                ModelComposer(config.composer, self._model.writer, self._frames, batch_size, config.seed, sample)
                for sample in samples
            ]
        return FromCaptions(self._asking, captions, composers, placeholders)
