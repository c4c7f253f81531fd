"""Where an OpenAI-compatible server is and how it is asked. The key itself is in no config: `key_env` names where it is."""

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from vtalign.config import Config, unshown_error

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

    @model_validator(mode="before")
    @classmethod
    def _no_lone_address(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise unshown_error("expected a mapping with url and the other settings of a server; set its url")
        return value

    @field_validator("url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        wrong = _wrong_address(value)
        if wrong and any(mark in value for mark in "@?#"):
            raise unshown_error(wrong)
        if wrong:
            raise ValueError(wrong)
        return value.rstrip("/")


def _wrong_address(url: str) -> str:
    """Why it is not taken, "" where it is."""
    try:
        parts = urlsplit(url)
    except ValueError:  # its words would repeat parts of the address
        return "is no http:// or https:// address"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is no http:// or https:// address"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "holds more than an address; a key belongs into the environment variable that key_env names"
    return ""


class ServerConfig(ServerSettings):
    """One model on a server."""

    model: str = Field(min_length=1, description="the model's name on the server")


class VideoServerSettings(ServerSettings):
    """A server whose model is shown frames. How they are sent decides its replies."""

    images: ImageFormat = Field("jpeg", description="how frames are sent: `jpeg` (quality 95) or, without loss, `png`")
