"""`Answerer`: what a run needs of a model under test, wherever it runs, and how one is made of an `EvalConfig`."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from vtalign.config import validate_config
from vtalign.models.requests import FrameSource, Generation, Request
from vtalign.remote.requests import ServerError
from vtalign.video.sample import FramePolicy
from vtalign_eval.config import EvalConfig
from vtalign_eval.outcomes import Outcome, failed_on_server
from vtalign_eval.reply import Reply

if TYPE_CHECKING:
    from vtalign.models.video_lm import VideoLM
    from vtalign.remote.remote_lm import RemoteLM


class Answerer(Protocol):
    """`VideoLM` is one, `RemoteLM` another."""

    policy: FramePolicy

    @property
    def fingerprint(self) -> str: ...

    @property
    def device(self) -> Any: ...

    def generations(
        self,
        requests: Sequence[Request],
        source: FrameSource,
        *,
        batch_size: int,
        on_made: Callable[[Sequence[int], Sequence[Generation | ServerError]], object] | None = None,
    ) -> Sequence[Generation | ServerError]:
        """Responses in the order of `requests`; `on_made` is given places and responses as soon as they are there."""
        ...


def load_answerer(config: EvalConfig) -> "Answerer":
    """The checkpoint, or the model behind `config.server`, of which nothing is asked yet. Raises InputError."""
    return remote_lm(config) if config.server else load_for_eval(config)


def load_for_eval(config: EvalConfig) -> "VideoLM":
    """The checkpoint under its own frame policy with what `config.frames` changes."""
    from vtalign.models.load import load_video_lm

    lm = load_video_lm(
        config.model,
        dtype=config.dtype,
        device=config.device,
        trust_remote_code=config.trust_remote_code,
        positions=config.positions,
    )
    policy = validate_config(FramePolicy, lm.policy.model_dump() | config.frames, "frames")
    return lm.with_policy(policy, config.model)


def remote_lm(config: EvalConfig) -> "RemoteLM":
    """The model behind `config.server`. No checkpoint is at hand: the frame policy is the default one with `config.frames`."""
    from vtalign.remote.remote_lm import RemoteLM

    assert config.server is not None
    return RemoteLM(config.model, config.server, validate_config(FramePolicy, config.frames, "frames"))


def reply_of(made: Generation | ServerError, uncontrolled: bool) -> Reply:
    """What counts as the reply. A request that failed is asked again when the run is taken up."""
    if isinstance(made, ServerError):
        return Reply(None, failure=made.reason, detail=made.detail)
    return Reply(made.text, made.tokens, made.ended == "length", uncontrolled)


def nothing_answered(config: EvalConfig, outcomes: Sequence[Outcome], replies: Iterable[Reply]) -> str:
    """Why a run in which every outcome is a failure has no result."""
    details = {reply.failure: reply.detail for reply in replies}
    for outcome in outcomes:
        if config.server and failed_on_server(outcome):
            return f"{config.server.url}: not one question was answered (first: {outcome.failure}: {details[outcome.failure]})"
    return f"{config.data}: not one of its videos could be read (first: {outcomes[0].video}: {outcomes[0].failure})"
