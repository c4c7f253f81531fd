"""Stage 6, captions: the model describes every distinct clip once, those of clean and of perturbed views alike.

A relative caption is asked with the clip that is shown before it (TEMPLE's diff captions): the frames of the previous clip are in
the prompt, not its caption, so that no request waits for another. Another order of the clips then gives other captions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pyarrow as pa

from vtalign.ids import seed_from, stable_id
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Request
from vtalign.preference.pair import video_prompt
from vtalign.video.frames import FrameStore
from vtalign.video.segments import Segments
from vtalign.video.view import VideoView
from vtalign_data.clips import segments_of, told_clip
from vtalign_data.config import CaptionConfig
from vtalign_data.stage import BatchResult, Row
from vtalign_data.templates import fill_prompt
from vtalign_data.view_pairs import compares_views
from vtalign_data.writer import Writer, answer_columns, write_responses

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("request_id", "video_id", "video", "view_id", "clip_view_id", "clip")),
        ("prompt", pa.string()),
        ("text", pa.string()),
        ("tokens", pa.int64()),
        ("ended", pa.string()),
        ("stray", pa.list_(pa.string())),
        ("previous", pa.string()),
    ]
)


@dataclass(frozen=True)
class ClipRequest:
    """What is asked about one clip. `view_id` is the clean view of the video that it was cut from; `previous` the clip that is shown
    before it, where it is described relative to that."""

    request_id: str
    video_id: str
    video: str
    view_id: str
    clip: VideoView
    previous: VideoView | None = None


class Asking:
    """How a run asks about clips: everything but the clip that a request id depends on."""

    def __init__(self, config: CaptionConfig, fingerprint: str, seed: int) -> None:
        self.config = config
        sampling = {"max_new_tokens": config.max_new_tokens, "temperature": config.temperature}
        self._single = {"prompt": config.prompt, **sampling}
        self._relative = {"prompt": config.relative_prompt, **sampling}
        self._fingerprint = fingerprint
        self._last: tuple[tuple[str, Segments], tuple[ClipRequest, ...]] | None = None
        self._seed = seed

    def clean(self, row: Row) -> list[ClipRequest]:
        """Requests for the clips of the clean view of a perturbation row, in order."""
        segments = segments_of(row)
        key = (row["view_id"], segments)
        if self._last is None or self._last[0] != key:  # the rows of a view are neighbours
            view = VideoView.from_json(row["view"])
            self._last = key, tuple(self._about(row, told_clip(view.clip(*bounds), row)) for bounds in segments)
        return list(self._last[1])

    def perturbed(self, row: Row, clean: Sequence[ClipRequest]) -> list[ClipRequest]:
        """Requests for the clips of the perturbed view, in its order; a clip that shows what it showed keeps its request, and so
        do all where only views are compared."""
        if compares_views(row):
            return list(clean)
        view = VideoView.from_json(row["perturbed_view"])
        return [
            self._about(row, told_clip(view.clip(piece["start"], piece["stop"]), row))
            if piece["changed"]
            else clean[piece["source"]]
            for piece in row["pieces"]
        ]

    def told(self, sequence: Sequence[ClipRequest]) -> list[ClipRequest]:
        """What a response to the clips of `sequence`, in this order, is told from: relative captions where they are asked for, of
        all clips but the first one."""
        if not self.config.relative:
            return list(sequence)
        return [*sequence[:1], *(self._relative_to(previous, request) for previous, request in pairwise(sequence))]

    def request(self, request: ClipRequest) -> Request:
        """As the model is asked. The seed is drawn from the request, so that it does not depend on when it is asked."""
        seed = seed_from("caption", request.request_id, self._seed)
        return Request(self._prompt(request), self.config.max_new_tokens, self.config.temperature, seed)

    def text(self, request: ClipRequest) -> str:
        """The text, or template, of the prompt."""
        return self.config.prompt if request.previous is None else self.config.relative_prompt

    def _prompt(self, request: ClipRequest) -> Prompt:
        if request.previous is None:
            return video_prompt(request.clip, self.config.prompt)
        return fill_prompt(self.config.relative_prompt, {}, {"previous": [request.previous], "clip": [request.clip]})

    def _about(self, row: Row, clip: VideoView) -> ClipRequest:
        request_id = stable_id("request", row["view_id"], clip.view_id, self._single, self._fingerprint, self._seed)
        return ClipRequest(request_id, row["video_id"], row["video"], row["view_id"], clip)

    def _relative_to(self, previous: ClipRequest, request: ClipRequest) -> ClipRequest:
        shown = (previous.clip.view_id, request.clip.view_id)
        request_id = stable_id("request", request.view_id, *shown, self._relative, self._fingerprint, self._seed)
        return replace(request, request_id=request_id, previous=previous.clip)


def clip_requests(rows: Iterable[Row], asking: Asking, *, single: bool = True, told: bool = True) -> list[ClipRequest]:
    """The distinct requests behind all perturbation rows, sorted by video (so that a batch decodes few), then by id: `single`, of
    clips on their own, which questions are made of, and `told`, which responses are told from."""
    distinct: dict[str, ClipRequest] = {}
    for row in rows:
        clean = asking.clean(row)
        perturbed = asking.perturbed(row, clean)
        for request in (*clean, *perturbed) if single else ():
            distinct.setdefault(request.request_id, request)
        for request in (*asking.told(clean), *asking.told(perturbed)) if told else ():
            distinct.setdefault(request.request_id, request)
    return sorted(distinct.values(), key=lambda request: (request.video_id, request.request_id))


def write_captions(
    requests: Sequence[ClipRequest], asking: Asking, writer: Writer, frames: FrameStore, batch_size: int
) -> BatchResult:
    """Descriptions of one batch of clips; those that could not be had are lost, each with its reason."""
    written = write_responses([(request, asking.request(request)) for request in requests], writer, frames, batch_size)
    rows = [
        {
            "request_id": request.request_id,
            "video_id": request.video_id,
            "video": request.video,
            "view_id": request.view_id,
            "clip_view_id": request.clip.view_id,
            "clip": request.clip.to_json(),
            "prompt": asking.text(request),
            **answer_columns(answer),
            "previous": request.previous.to_json() if request.previous is not None else None,
        }
        for request, answer in written.answers
    ]
    return BatchResult(rows, written.rejected, written.usage)
