"""How video-level responses are asked for, and the server that may write them."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from vtalign.config import Config
from vtalign.remote.config import VideoServerSettings
from vtalign_data.templates import check_fields

ResponseInput = Literal["caption", "clip", "video"]


class ResponseConfig(Config):
    """What a video-level response is written from (TEMPLE's three input types), for the clean view and for a perturbed one alike.

    caption: the descriptions of the clips, put together by `composer`. clip: the clips themselves, as videos of their own in the
    order of the view. video: the whole view.
    """

    input: ResponseInput = "caption"
    clips_prompt: str = Field(
        "{clips}These are the parts of one video, in order. {prompt}",
        description="clip: what is asked; {clips} stands for the clips, {prompt} for one of `response_prompts`",
    )
    max_new_tokens: int = Field(256, ge=1, description="clip, video: length of a response (caption: `composer.max_new_tokens`)")
    temperature: float = Field(0.0, ge=0, description="clip, video: 0 is greedy (caption: `composer.temperature`)")
    samples: int = Field(
        1, ge=1, description="responses to each view; the n-th to the clean view and the n-th to a perturbed one are a pair"
    )

    @field_validator("clips_prompt")
    @classmethod
    def _has_clips(cls, value: str) -> str:
        return check_fields(value, {"clips", "prompt"}, {"clips", "prompt"})

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and self.input != "caption" and not self.temperature:
            raise ValueError(f"samples {self.samples} at temperature 0 would all be the same: set responses.temperature")
        return self


class WriterServer(VideoServerSettings):
    """A model on a server that writes captions and responses; scores need weights at hand (`model`)."""

    model: str = Field(min_length=1, description="the model's name on the server")

    @property
    def connection(self) -> VideoServerSettings:
        return VideoServerSettings(**self.model_dump(exclude={"model"}))
