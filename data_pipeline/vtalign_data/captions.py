"""Stage 6, captions: the model describes every distinct clip once, those of clean and of perturbed views alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from vtalign.errors import VideoError
from vtalign.ids import seed_from, stable_id
from vtalign.models.requests import Request
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import video_prompt
from vtalign.video.frames import FrameStore
from vtalign.video.view import VideoView
from vtalign_data.clips import segments_of, told_clip
from vtalign_data.config import CaptionConfig
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.view_pairs import compares_views

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("request_id", "video_id", "video", "view_id", "clip_view_id", "clip")),
        ("prompt", pa.string()),
        ("text", pa.string()),
        ("tokens", pa.int64()),
        ("ended", pa.string()),
        ("stray", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class ClipRequest:
    """What is asked about one clip. `view_id` is the clean view of the video that it was cut from."""

    request_id: str
    video_id: str
    video: str
    view_id: str
    clip: VideoView


class Asking:
    """How a run asks about clips: everything but the clip that a request id depends on."""

    def __init__(self, config: CaptionConfig, fingerprint: str, seed: int) -> None:
        self.config = config
        self._settings = (config.model_dump(mode="json"), fingerprint, seed)
        self._seed = seed

    def clean(self, row: Row) -> list[ClipRequest]:
        """Requests for the clips of the clean view of a perturbation row, in order."""
        view = VideoView.from_json(row["view"])
        return [self._about(row, told_clip(view.clip(*bounds), row)) for bounds in segments_of(row)]

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

    def seed_of(self, request: ClipRequest) -> int:
        """For sampling: drawn from the request, so that it does not depend on when it is asked."""
        return seed_from("caption", request.request_id, self._seed)

    def _about(self, row: Row, clip: VideoView) -> ClipRequest:
        request_id = stable_id("request", row["view_id"], clip.view_id, *self._settings)
        return ClipRequest(request_id, row["video_id"], row["video"], row["view_id"], clip)


def clip_requests(rows: Iterable[Row], asking: Asking) -> list[ClipRequest]:
    """The distinct requests behind all perturbation rows, sorted by video (so that a batch decodes few), then by id."""
    distinct: dict[str, ClipRequest] = {}
    for row in rows:
        clean = asking.clean(row)
        for request in (*clean, *asking.perturbed(row, clean)):
            distinct.setdefault(request.request_id, request)
    return sorted(distinct.values(), key=lambda request: (request.video_id, request.request_id))


def write_captions(
    requests: Sequence[ClipRequest], asking: Asking, model: VideoLM, frames: FrameStore, batch_size: int
) -> BatchResult:
    """Descriptions of one batch of clips; those of a video that cannot be read are lost with its reason."""
    result = BatchResult()
    errors: dict[str, VideoError] = frames.prefetch([request.clip for request in requests])
    asked = []
    for request in requests:
        error = next((errors[video_id] for video_id in request.clip.video_ids if video_id in errors), None)
        if error is None:
            asked.append(request)
        else:
            result.rejected.append(Rejected(request.request_id, "failed", error.reason, f"{error.path}: {error.detail}"))
    config = asking.config
    written = model.generations(
        [
            Request(video_prompt(request.clip, config.prompt), config.max_new_tokens, config.temperature, asking.seed_of(request))
            for request in asked
        ],
        frames,
        batch_size=batch_size,
    )
    for request, answer in zip(asked, written, strict=True):
        result.rows.append(
            {
                "request_id": request.request_id,
                "video_id": request.video_id,
                "video": request.video,
                "view_id": request.view_id,
                "clip_view_id": request.clip.view_id,
                "clip": request.clip.to_json(),
                "prompt": config.prompt,
                "text": answer.text,
                "tokens": answer.tokens,
                "ended": answer.ended,
                "stray": list(answer.stray),
            }
        )
    return result
