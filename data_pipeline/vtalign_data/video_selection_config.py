"""Which shots become clips and which videos are used: thresholds, with TEMPLE's values (lscpku/TEMPLE, preprocess.py) as defaults."""

from typing import Literal, Self

from pydantic import Field, model_validator

from vtalign.config import Config


class ShotConfig(Config):
    """Rules on the shots between cuts. A shot that is dropped is no clip of its own: its frames stay with the clip before it."""

    min_seconds: float = Field(0.2, ge=0, description="a shorter shot is dropped")
    min_grey_range: int = Field(
        10, ge=0, le=255, description="brightest less darkest grey of all its frames; a flatter shot is dropped"
    )
    min_count: int = Field(4, ge=1, description="a video with fewer shots left is filtered")
    max_count: int = Field(32, ge=1, description="a video with more shots left is filtered")
    max_seconds: float = Field(16.0, gt=0, description="a video with a longer shot is filtered")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_count > self.max_count:
            raise ValueError(f"min_count {self.min_count} is above max_count {self.max_count}")
        return self


class GroupConfig(Config):
    """Shots that look alike are one group; neighbours of one group are one clip.

    TEMPLE's encoder is `clip` with google/siglip-so400m-patch14-384. `histogram` needs no weights and knows colours only; `model` is
    the mean feature of the video LLM's own vision tower, which finds most pictures alike: give it a threshold of its own.
    """

    encoder: Literal["histogram", "clip", "model"] = "histogram"
    checkpoint: str | None = Field(None, description="encoder clip: path or Hub id of a SigLIP, CLIP or other image model")
    threshold: float = Field(
        0.8, ge=-1, le=1, description="groups of a higher cosine similarity are merged; 1 = nothing is merged"
    )
    min_clips: int = Field(4, ge=1, description="a video with fewer clips after merging is filtered")
    recurrence_divisor: int = Field(3, ge=1, description="a group may be no more than n // this of the n clips")
    max_recurrence: int = Field(3, ge=1, description="a group may be no more than so many clips of a video")

    @model_validator(mode="after")
    def _checkpoint_fits(self) -> Self:
        if (self.encoder == "clip") != (self.checkpoint is not None):
            raise ValueError("checkpoint names the image model of encoder clip: give both or neither")
        return self

    @property
    def merges(self) -> bool:
        return self.threshold < 1


class SelectConfig(Config):
    """What makes a video worth using.

    `shots`: its shots keep the rules. `reversal`: the model says something else of the video backwards (ArrowRL, arXiv 2506.03340:
    temporal divergence), which needs no shots: where these break a rule, the video gets uniform clips.
    """

    signal: Literal["shots", "reversal"] = "shots"
    by: Literal["first_token_kl", "divergence"] = Field(
        "first_token_kl",
        description="first_token_kl: KL(forwards || backwards) of the first token (ArrowRL's); divergence: mean Jensen-Shannon over "
        "the model's own answer to the video forwards; both nats",
    )
    prompt: str = Field("Describe what happens in this video in one short sentence.", min_length=1)
    max_new_tokens: int = Field(32, ge=1, description="of the answer")
    min: float = Field(0.0, ge=0, description="a video is kept above this, nats")
    keep: float = Field(1.0, gt=0, le=1, description="of the videos above `min`, the share with the highest scores that is kept")
