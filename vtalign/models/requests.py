"""What is asked of a video LLM and what comes back."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vtalign.errors import InputError
from vtalign.models.prompt import Prompt
from vtalign.video.view import VideoView


class FrameSource(Protocol):
    """Where the pixels of a view come from (`vtalign.video.frames.FrameStore` is one)."""

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        """uint8 (T, H, W, 3) at the final size, one frame per slot. Raises VideoError.

        Slots of the same content (`Slot.content`) are the same frame in every view of that size: it is encoded once for all.
        """
        ...


@dataclass(frozen=True)
class Request:
    """Write a response to `prompt`. Greedy at temperature 0; otherwise sampled, a function of `seed` and not of the batch."""

    prompt: Prompt
    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.temperature < 0 or self.seed < 0:
            raise InputError(
                f"max_new_tokens must be at least 1, temperature and seed at least 0; "
                f"got {self.max_new_tokens}, {self.temperature}, {self.seed}"
            )


@dataclass(frozen=True)
class Row:
    """One prompt and the responses that branch from it."""

    prompt: Prompt
    responses: tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """One written response.

    `text` has no special tokens; `stray` names those that the model wrote inside it (media placeholders among them) and that were
    stripped; `ended` says whether the model closed its turn (`end`) or ran into `max_new_tokens` (`length`). `tokens` counts what was
    written, with the end of turn, `prompt_tokens` what was read, with the tokens of the video; 0 where a server does not say.
    """

    text: str
    tokens: int
    ended: Literal["end", "length"]
    stray: tuple[str, ...] = ()
    prompt_tokens: int = field(default=0, compare=False)  # what it cost is no part of what was written


@dataclass(frozen=True)
class ResponseScore:
    """What a model says of one response, of n tokens with its end of turn.

    token_logps: float32 (n,), nats. hidden_product: inner product of the summed hidden states (before unembedding, where tokens
    are predicted) of this response and of the first one of its row. Where the row is compared with another: token_divergences
    float32 (n,), Jensen-Shannon in nats between the distributions of the two, and first_token_kl, KL(theirs || ours) of the first.
    """

    token_logps: NDArray[np.float32]
    hidden_product: float
    token_divergences: NDArray[np.float32] | None = None
    first_token_kl: float | None = None

    @property
    def total(self) -> float:
        """Token-summed log-prob, nats."""
        return float(self.token_logps.sum(dtype=np.float64))

    @property
    def count(self) -> int:
        return len(self.token_logps)

    @property
    def divergence(self) -> float | None:
        """Mean of the token divergences, nats; None where nothing is compared."""
        return float(self.token_divergences.mean(dtype=np.float64)) if self.token_divergences is not None else None
