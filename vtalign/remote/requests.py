"""What is asked of a chat server and what comes back."""

from dataclasses import dataclass
from typing import Any, Literal

Reason = Literal["server_timeout", "server_unreachable", "server_error", "server_garbage", "server_refused"]


@dataclass(frozen=True)
class ChatRequest:
    """`messages` in OpenAI's layout: {role, content}, content a text or a list of text and image_url parts."""

    messages: tuple[dict[str, Any], ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class ChatReply:
    """`tokens`: as the server counts them, 0 where it does not. `ended`: `length` where it ran into `max_tokens`."""

    text: str
    tokens: int
    ended: Literal["end", "length"]


@dataclass(frozen=True)
class ServerError:
    """One request that got no usable reply, after all retries.

    `reason` is a short stable word that tables group by: no reply in time, no connection, a status that says to come back later
    (408, 409, 429, 5xx), a reply that is none, or a request that the server will not take (4xx). `detail` is for people.
    """

    reason: Reason
    detail: str
