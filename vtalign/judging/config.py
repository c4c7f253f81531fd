"""`JudgeConfig`: which judge is asked, and how long it may answer."""

from typing import Literal, Self

from pydantic import Field, model_validator

from vtalign.config import Config
from vtalign.remote.config import ServerConfig

_LOCAL = ("batch_size", "device", "dtype")


class JudgeConfig(Config):
    """A judge on a server, or a model read from disk. Greedy in both cases; none by default."""

    server: ServerConfig | None = Field(None, description="an OpenAI-compatible server and the judge's name there")
    model: str | None = Field(
        None, min_length=1, description="a folder or Hub id: a language model with a chat template, or a video LLM"
    )
    max_new_tokens: int = Field(256, ge=1, description="longest verdict in tokens")
    batch_size: int = Field(16, ge=1, description="of a local model: replies judged together")
    device: str = Field("auto", description="of a local model: `auto`, `cpu`, `cuda`, ..")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="of a local model")

    @model_validator(mode="after")
    def _one_judge(self) -> Self:
        if (self.server is None) == (self.model is None):
            raise ValueError("name one judge: `server.url` and `server.model`, or `model` (a folder or Hub id)")
        unused = [name for name in _LOCAL if getattr(self, name) != type(self).model_fields[name].default]
        if self.server is not None and unused:
            raise ValueError(f"{unused[0]}: is a setting of a local model, but the judge is on a server; leave it out")
        return self
