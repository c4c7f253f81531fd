"""A client with short waits."""

from collections.abc import Callable
from typing import Any

import pytest

from vtalign.remote.config import ServerConfig
from vtalign.remote.server import ChatServer


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ChatServer]:
    """(url, settings) -> a client of the model `echo` without a key, which waits some milliseconds between two tries."""
    monkeypatch.setattr("vtalign.remote.server._FIRST_WAIT", 0.005)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def make(url: str, **settings: Any) -> ChatServer:
        return ChatServer(ServerConfig(url=url, **{"model": "echo", "timeout_s": 0.5, **settings}))

    return make
