"""Where an OpenAI-compatible server is and how it is asked. The key itself is in no config: `key_env` names where it is."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from vtalign.config import Config

ImageFormat = Literal["jpeg", "png"]


class ServerSettings(Config):
    """A server that speaks OpenAI's chat API (vLLM, SGLang, `transformers serve`, ..). None of these settings decides a reply."""

    url: str = Field(min_length=1, description="base URL with its version, such as http://localhost:8000/v1")
    key_env: str = Field(
        "OPENAI_API_KEY", min_length=1, description="environment variable that holds the key, where one is needed"
    )
    concurrency: int = Field(8, ge=1, description="requests that are under way together")
    timeout_s: float = Field(300, gt=0, description="seconds without a sign of the reply, after which a request is tried again")
    retries: int = Field(5, ge=0, description="how often a request that failed is tried again")

    @field_validator("url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is no http:// or https:// address")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("holds more than an address; a key belongs into the environment variable that key_env names")
        return value.rstrip("/")


class ServerConfig(ServerSettings):
    """One model on a server."""

    model: str = Field(min_length=1, description="the model's name on the server")


class VideoServerSettings(ServerSettings):
    """A server whose model is shown frames. How they are sent decides its replies."""

    images: ImageFormat = Field("jpeg", description="how frames are sent: `jpeg` (quality 95) or, without loss, `png`")
