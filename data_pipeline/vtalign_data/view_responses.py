"""Stage 6b, view responses: what the model says of the clean view and of each perturbed one, which it is shown.

Either as the clips of the view, one after the other (`responses.input: clip`), or as the view itself (`video`): then the rejected
side is what the model says of the perturbed video.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from vtalign.ids import seed_from, stable_id
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Request
from vtalign.preference.pair import video_prompt
from vtalign.video.frames import FrameStore
from vtalign.video.view import VideoView
from vtalign_data.captions import Asking
from vtalign_data.config import BuildConfig
from vtalign_data.responses import Sides, SidesOfRow, Told, response_prompt
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.templates import fill_prompt
from vtalign_data.usage import Usage
from vtalign_data.view_pairs import compares_views
from vtalign_data.writer import Writer, answer_columns, write_responses

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("request_id", "video_id", "video", "view_id")),
        ("shown", pa.list_(pa.string())),  # the views in the prompt
        ("prompt", pa.string()),
        ("sample", pa.int64()),
        ("text", pa.string()),
        ("tokens", pa.int64()),
        ("ended", pa.string()),
        ("stray", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class ViewRequest:
    """What is asked about a view, clean or perturbed. `view_id` is the clean one; `prompt` what the model meets."""

    request_id: str
    video_id: str
    video: str
    view_id: str
    prompt: Prompt
    sample: int


class ViewAsking:
    """How a run asks about views: as their clips, which `asking` cuts, or whole."""

    def __init__(self, config: BuildConfig, asking: Asking, fingerprint: str) -> None:
        responses = config.responses
        self._config, self._asking = config, asking
        self._sampling = {"max_new_tokens": responses.max_new_tokens, "temperature": responses.temperature}
        self._fingerprint = fingerprint

    def clean(self, row: Row) -> list[ViewRequest]:
        """One request per sample about the clean view of a perturbation row."""
        if self._config.responses.input == "clip":
            return self._about(row, [request.clip for request in self._asking.clean(row)])
        return self._about(row, [VideoView.from_json(row["view"])])

    def perturbed(self, row: Row) -> list[ViewRequest]:
        """The same requests about the perturbed view; those about the clean one where only views are compared."""
        if compares_views(row):
            return self.clean(row)
        if self._config.responses.input == "clip":
            return self._about(row, [request.clip for request in self._asking.perturbed(row, self._asking.clean(row))])
        return self._about(row, [VideoView.from_json(row["perturbed_view"])])

    def request(self, request: ViewRequest) -> Request:
        """As the model is asked; the seed is drawn from the request."""
        config = self._config.responses
        seed = seed_from("response", request.request_id, self._config.seed)
        return Request(request.prompt, config.max_new_tokens, config.temperature, seed)

    def _about(self, row: Row, shown: list[VideoView]) -> list[ViewRequest]:
        config = self._config
        text = response_prompt(config, row["view_id"])
        if config.responses.input == "clip":
            prompt = fill_prompt(config.responses.clips_prompt, {"prompt": text}, {"clips": shown})
        else:
            prompt = video_prompt(shown[0], text)
        settings = (prompt.prompt_id, self._sampling, self._fingerprint, config.seed)
        return [
            ViewRequest(
                stable_id("request", row["view_id"], *settings, sample),
                row["video_id"],
                row["video"],
                row["view_id"],
                prompt,
                sample,
            )
            for sample in range(config.responses.samples)
        ]


def view_requests(rows: Iterable[Row], asking: ViewAsking) -> list[ViewRequest]:
    """The distinct requests behind all perturbation rows, sorted by video, then by id."""
    distinct: dict[str, ViewRequest] = {}
    for row in rows:
        for request in (*asking.clean(row), *asking.perturbed(row)):
            distinct.setdefault(request.request_id, request)
    return sorted(distinct.values(), key=lambda request: (request.video_id, request.request_id))


def write_view_responses(
    requests: Sequence[ViewRequest], asking: ViewAsking, writer: Writer, frames: FrameStore, batch_size: int
) -> BatchResult:
    """Responses of one batch; those that could not be had are lost, each with its reason."""
    written = write_responses([(request, asking.request(request)) for request in requests], writer, frames, batch_size)
    rows = [
        {
            "request_id": request.request_id,
            "video_id": request.video_id,
            "video": request.video,
            "view_id": request.view_id,
            "shown": [view.to_json() for view in request.prompt.views],
            "prompt": request.prompt.text,
            "sample": request.sample,
            **answer_columns(answer),
        }
        for request, answer in written.answers
    ]
    return BatchResult(rows, written.rejected, written.usage)


class FromViews:
    """Sides from the rows of this stage, by request id. A pair with a side that was not written is lost."""

    usage = Usage()

    def __init__(self, asking: ViewAsking, answers: Mapping[str, Row], response_input: str) -> None:
        self._asking, self._answers, self._input = asking, answers, response_input

    def sides(self, rows: Sequence[Row]) -> list[SidesOfRow]:
        return [self._of(row) for row in rows]

    def _of(self, row: Row) -> SidesOfRow:
        found = SidesOfRow()
        for clean, perturbed in zip(self._asking.clean(row), self._asking.perturbed(row), strict=True):
            missing = next((request for request in (clean, perturbed) if request.request_id not in self._answers), None)
            if missing is not None:
                where = f"{row['video']}: {missing.request_id}"
                found.rejected.append(Rejected(row["perturbation_id"], "failed", "no_response", where))
                continue
            made = {"input": self._input, "sample": clean.sample}
            found.sides.append(Sides(self._told(clean), self._told(perturbed), made))
        return found

    def _told(self, request: ViewRequest) -> Told:
        answer = self._answers[request.request_id]
        return Told(answer["text"], [request.request_id], [], answer["stray"])
