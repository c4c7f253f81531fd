"""`Prompt`: texts and video views in the order in which a model meets them."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign.video.view import VideoView

Part = str | VideoView


@dataclass(frozen=True)
class Prompt:
    """One user turn: texts and zero or more views (none in text-only rows and the `text` control). Hashable; JSON both ways."""

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            if not isinstance(part, str | VideoView):
                raise InputError(f"a prompt part is a text or a VideoView, got {type(part).__name__}")

    @property
    def views(self) -> tuple[VideoView, ...]:
        return tuple(part for part in self.parts if isinstance(part, VideoView))

    @property
    def text(self) -> str:
        """The texts alone, one per line."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @cached_property
    def prompt_id(self) -> str:
        return stable_id("prompt", self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return {"parts": [{"text": part} if isinstance(part, str) else {"view": part.to_dict()} for part in self.parts]}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> "Prompt":
        return Prompt(tuple(row["text"] if "text" in row else VideoView.from_dict(row["view"]) for row in data["parts"]))

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> "Prompt":
        return Prompt.from_dict(json.loads(text))
