"""`ContaminationConfig`: which pairs are held against which benchmark, and how closely."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from vtalign.config import Config
from vtalign.video.limits import DecodeLimits

Check = Literal["content", "name", "frames", "text"]
CHECKS: tuple[Check, ...] = ("content", "name", "frames", "text")


class ContaminationConfig(Config):
    """Training pairs against one benchmark. Paths are relative to the working directory."""

    pairs: Path = Field(description="a folder of pairs (*.parquet) or one file")
    data: Path = Field(description="the benchmark's folder")
    out: Path = Field(description="folder for contamination.json and matches.jsonl")
    benchmark: str = Field("temporal-shapes", description="a built-in benchmark or one from the entry points vtalign.benchmarks")
    videos: Path | None = Field(None, description="the root of the pairs' videos; needed for `frames`, which is else left out")
    checks: tuple[Check, ...] = Field(CHECKS, min_length=1, description="what to look for")
    ngram: int = Field(13, ge=2, description="words in a row that question and training text must share")
    shortest: int = Field(8, ge=2, description="questions of fewer words are not held against texts: such matches mean nothing")
    frames: int = Field(16, ge=2, description="frames of each video, evenly spread, whose hashes are compared")
    max_distance: int = Field(6, ge=0, le=63, description="bits (of 64) in which hashes of the same frame may differ")
    min_share: float = Field(0.5, gt=0, le=1, description="share of one video's frames that must be in the other")
    fail_on_match: bool = Field(False, description="exit code 3 where anything matches")
    workers: int = Field(1, ge=1, description="processes that read videos")
    decode: DecodeLimits = DecodeLimits()

    @field_validator("checks")
    @classmethod
    def _once(cls, value: tuple[Check, ...]) -> tuple[Check, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a check twice")
        return value

    def settings(self) -> dict[str, Any]:
        """What decides the matches, as plain data."""
        return self.model_dump(mode="json", exclude={"out", "fail_on_match", "workers", "decode"})
