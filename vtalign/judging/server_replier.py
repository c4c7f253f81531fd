"""A judge on an OpenAI-compatible server."""

from collections.abc import Sequence

from vtalign.judging.replier import OnSaid, Said
from vtalign.remote.config import ServerConfig
from vtalign.remote.requests import ChatReply, ChatRequest, ServerError
from vtalign.remote.server import ChatServer


class ServerReplier:
    """Prompts as single user turns at temperature 0, as many at once as `config.concurrency` says.

    Weights on a server cannot be hashed, and two servers may call different ones the same: the judge's name ends in the address,
    or in `place` where the user vouches for it.
    """

    def __init__(self, config: ServerConfig, max_new_tokens: int, place: str | None = None) -> None:
        self._server, self._max_new_tokens = ChatServer(config), max_new_tokens
        self.name = f"{config.model}@{place or config.url}"

    def check(self) -> None:
        self._server.check()

    def reply(self, prompts: Sequence[str], on_said: OnSaid) -> None:
        requests = [ChatRequest(({"role": "user", "content": prompt},), self._max_new_tokens) for prompt in prompts]
        self._server.complete(requests, lambda place, answer: on_said(place, _said(answer)))


def _said(answer: ChatReply | ServerError) -> Said:
    return Said(answer.text, tokens=answer.tokens) if isinstance(answer, ChatReply) else Said(None, answer.reason)
