"""`Replier`: who answers a judge's prompts, and `Said`, what came back for one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vtalign.judging.config import JudgeConfig


@dataclass(frozen=True)
class Said:
    """What came back for one prompt: words, or (`text` None) the short word of why there are none."""

    text: str | None
    failure: str | None = None


OnSaid = Callable[[int, Said], object]


class Replier(Protocol):
    """Who answers prompts: a server or a local model."""

    @property
    def name(self) -> str:
        """The judge in results: the same for the same weights, wherever they are."""
        ...

    def check(self) -> None:
        """Raises InputError where the judge cannot be asked. Costs little."""
        ...

    def reply(self, prompts: Sequence[str], on_said: OnSaid) -> None:
        """Answer every prompt, greedily, and hand each reply with its place in `prompts` to `on_said` as soon as it is there.

        What concerns one prompt alone (too long, say) is a failed reply; a judge that is gone is RunFailed.
        """
        ...


def open_replier(config: JudgeConfig) -> Replier:
    """The server or the local model of a config."""
    # late: a server needs no torch, and a local model no client
    if config.server is not None:
        from vtalign.judging.server_replier import ServerReplier

        return ServerReplier(config.server, config.max_new_tokens)
    from vtalign.judging.local_replier import LocalReplier

    return LocalReplier(config)
