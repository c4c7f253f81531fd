"""`Writer`: the model that writes captions and responses, here or behind a server, and one batch of requests to it.

A request that a server did not answer is lost only where the server is still there: one that has gone stops the run, and what it
did not answer is asked when the run is taken up.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, get_args

from vtalign.errors import InputError, RunFailed, VideoError
from vtalign.models.requests import FrameSource, Generation, Request
from vtalign.remote.remote_lm import RemoteLM
from vtalign.remote.requests import Reason, ServerError
from vtalign.video.frames import FrameStore
from vtalign_data.stage import Rejected
from vtalign_data.usage import Usage

_OF_THE_SERVER = set(get_args(Reason)) - {"server_refused"}
"""Failures that are not about the request itself."""


class Writer(Protocol):
    """`VideoLM` is one, `ServerWriter` another."""

    @property
    def fingerprint(self) -> str: ...

    def generations(
        self, requests: Sequence[Request], source: FrameSource, *, batch_size: int
    ) -> Sequence[Generation | ServerError]:
        """Responses in the order of `requests`; an error in place of one that a server did not give."""
        ...


class ServerWriter:
    """A model on a server."""

    def __init__(self, lm: RemoteLM) -> None:
        self._lm = lm

    @property
    def fingerprint(self) -> str:
        return self._lm.fingerprint

    def check(self) -> None:
        """Raises InputError where nothing answers, or the key is refused."""
        self._lm.server.check()

    def generations(
        self, requests: Sequence[Request], source: FrameSource, *, batch_size: int
    ) -> Sequence[Generation | ServerError]:
        """Raises RunFailed where requests failed and the server is gone, besides what `RemoteLM.generations` raises."""
        made = self._lm.generations(requests, source, batch_size=batch_size)
        require_server(self.check, [answer.reason for answer in made if isinstance(answer, ServerError)])
        return made


def require_server(check: Callable[[], object], failures: Iterable[str | None]) -> None:
    """Raises RunFailed where a request failed for want of its server, and `check` says that this is gone. `failures`: reasons of
    requests, None for an answer."""
    if set(failures) & _OF_THE_SERVER:
        try:
            check()
        except InputError as error:
            raise RunFailed(f"the server has stopped answering: {error}; then run the same command again to go on") from None


class Traced(Protocol):
    """A request as it is recorded: its id, and the file that it is about."""

    @property
    def request_id(self) -> str: ...

    @property
    def video(self) -> str: ...


T = TypeVar("T", bound=Traced)


@dataclass(frozen=True)
class Written(Generic[T]):
    """What came of a batch of requests: those that were answered, the losses, and what it cost."""

    answers: list[tuple[T, Generation]]
    rejected: list[Rejected]
    usage: Usage


def write_responses(asked: Sequence[tuple[T, Request]], writer: Writer, frames: FrameStore, batch_size: int) -> Written[T]:
    """Responses to one batch; lost are those about videos that cannot be read, and those that a server did not answer.

    Raises RunFailed where the server has stopped answering: nothing of the batch is committed then.
    """
    errors: dict[str, VideoError] = frames.prefetch([view for _, request in asked for view in request.prompt.views])
    rejected: list[Rejected] = []
    readable: list[tuple[T, Request]] = []
    for traced, request in asked:
        shown = (video_id for view in request.prompt.views for video_id in view.video_ids)
        error = next((errors[video_id] for video_id in shown if video_id in errors), None)
        if error is None:
            readable.append((traced, request))
        else:
            rejected.append(Rejected(traced.request_id, "failed", error.reason, f"{error.path}: {error.detail}"))
    made = writer.generations([request for _, request in readable], frames, batch_size=batch_size)
    answers = []
    for (traced, _), answer in zip(readable, made, strict=True):
        if isinstance(answer, ServerError):
            rejected.append(Rejected(traced.request_id, "failed", answer.reason, f"{traced.video}: {answer.detail}"))
        else:
            answers.append((traced, answer))
    return Written(answers, rejected, usage_of(made))


def usage_of(made: Sequence[Generation | ServerError]) -> Usage:
    """What `made` cost; a request without an answer counts as a call."""
    answers = [answer for answer in made if isinstance(answer, Generation)]
    return Usage(len(made), sum(answer.prompt_tokens for answer in answers), sum(answer.tokens for answer in answers))


def answer_columns(answer: Generation) -> dict[str, Any]:
    """`answer` as columns of a row."""
    return {"text": answer.text, "tokens": answer.tokens, "ended": answer.ended, "stray": list(answer.stray)}
