"""`JudgeConfig`: which judge an evaluation asks, under which name its verdicts are kept, and where."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from vtalign.judging import config as judging


class JudgeConfig(judging.JudgeConfig):
    """A judge whose verdicts stand beside figures, and are kept."""

    name: str | None = Field(
        None, min_length=1, description="of a judge on a server, in place of its address: where it is the same one elsewhere too"
    )
    cache: Path | None = Field(
        None, description="folder of verdicts that several runs share; default: each run keeps its own alone"
    )

    @model_validator(mode="after")
    def _named_by_weights(self) -> Self:
        if self.server is None and self.name is not None:
            raise ValueError("name: is for a judge on a server; a local one is named by its weights; leave it out")
        return self
