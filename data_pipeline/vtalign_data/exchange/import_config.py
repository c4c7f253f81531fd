"""`ImportConfig`: what decides the pairs that rows of another trainer become."""

from pathlib import Path

from pydantic import Field

from vtalign.config import Config
from vtalign.preference.exports.formats import FormatName
from vtalign.preference.pair import Source
from vtalign.video.limits import DecodeLimits
from vtalign_data.config import FrameOverride


class ImportConfig(Config):
    """`vtalign data import`: a data file of another trainer in, pairs out."""

    file: Path = Field(description="rows: .jsonl, .json (a list) or .parquet")
    format: FormatName = Field(description="trl, ms-swift, llamafactory or rrpo")
    videos: Path = Field(description="the folder that paths in the rows are relative to, and which they may not leave")
    out: Path = Field(description="run folder: the pairs are in its folder pairs; run the same command again to resume")
    model: str | None = Field(None, description="model folder or Hub id whose frame policy the views get; no weights are loaded")
    frames: FrameOverride = FrameOverride()
    source: Source = Field("annotation", description="who wrote the responses: self, annotation or text")
    strict: bool = Field(False, description="the first row that cannot be read ends the import, in place of costing its line")
    limits: DecodeLimits = DecodeLimits()
    batch_size: int = Field(32, ge=1, description="videos per committed batch: at most so many are probed again after a kill")
    workers: int = Field(2, ge=1, description="decoder processes")
