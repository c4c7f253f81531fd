"""What is asked of a video LLM and what comes back."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vtalign.errors import InputError
from vtalign.models.prompt import Prompt
from vtalign.video.view import VideoView


class FrameSource(Protocol):
    """Where the pixels of a view come from (`vtalign.video.frames.FrameStore` is one)."""

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        """uint8 (T, H, W, 3) at the final size, one frame per slot. Raises VideoError."""
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
    stripped; `ended` says whether the model closed its turn (`end`) or ran into `max_new_tokens` (`length`).
    """

    text: str
    tokens: int
    ended: Literal["end", "length"]
    stray: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResponseScore:
    """Log-probs of one response: float32 (n,), one per token of the response and its end of turn."""

    token_logps: NDArray[np.float32]

    @property
    def total(self) -> float:
        """Token-summed log-prob, nats."""
        return float(self.token_logps.sum(dtype=np.float64))

    @property
    def count(self) -> int:
        return len(self.token_logps)
