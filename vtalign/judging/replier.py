"""`Replier`: who answers a judge's prompts, and `Said`, what came back for one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vtalign.judging.config import JudgeConfig


@dataclass(frozen=True)
class Said:
    """What came back for one prompt: words, or (`text` None) the short word of why there are none.

    `tokens` were written, with the end of turn, `prompt_tokens` were read; 0 where a server does not say.
    """

    text: str | None
    failure: str | None = None
    tokens: int = field(default=0, compare=False)  # what it cost is no part of what was said
    prompt_tokens: int = field(default=0, compare=False)


OnSaid = Callable[[int, Said], object]


class Replier(Protocol):
    """Who answers prompts: a server or a local model."""

    @property
    def name(self) -> str:
        """The judge in results and in the keys of its verdicts: no two judges have the same."""
        ...

    def check(self) -> None:
        """Raises InputError where the judge cannot be asked. Costs little."""
        ...

    def reply(self, prompts: Sequence[str], on_said: OnSaid) -> None:
        """Answer every prompt, greedily, and hand each reply with its place in `prompts` to `on_said` as soon as it is there.

        What concerns one prompt alone (too long, say) is a failed reply; a judge that is gone is RunFailed.
        """
        ...


def open_replier(config: JudgeConfig, place: str | None = None) -> Replier:
    """The server or the local model of a config. `place`: of a server, what stands in its name instead of the address."""
    # late: a server needs no torch, and a local model no client
    if config.server is not None:
        from vtalign.judging.server_replier import ServerReplier

        return ServerReplier(config.server, config.max_new_tokens, place)
    from vtalign.judging.local_replier import LocalReplier

    return LocalReplier(config)
