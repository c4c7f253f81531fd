"""Settings of listing and ingest: which columns a manifest has, which videos may stay."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from vtalign.config import Config


def _suffix(value: str) -> str:
    """`mp4`, `.MP4` -> `.mp4`"""
    plain = value.strip().lower().removeprefix(".")
    if not plain or "/" in plain:
        raise ValueError(f"'{value}' is no file extension")
    return f".{plain}"


Extension = Annotated[str, AfterValidator(_suffix)]


class ColumnConfig(Config):
    """Which columns (JSONL: keys) of a manifest hold what. Several rows may name one video: what they say of it is joined."""

    video: str = Field("video", min_length=1, description="path of the video, relative to the root")
    caption: str | None = Field(None, description="a caption of the video, or (JSONL, Parquet) a list of them")
    question: str | None = Field(None, description="a question about the video; needs `answer`")
    answer: str | None = Field(
        None, description="the right answer; where there are options: an option's text, its letter or its number from 0"
    )
    options: str | tuple[str, ...] | None = Field(
        None, description="one column with the list of options (in CSV a JSON list), or the columns that hold one option each"
    )
    id: str | None = Field(None, description="your own id of the row, kept with its captions and questions")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if (self.question is None) != (self.answer is None):
            raise ValueError("question and answer go together")
        if self.options and self.question is None:
            raise ValueError("options need question and answer")
        if self.id is not None and not self.has_annotations:
            raise ValueError("id is kept with captions and questions: name their columns")
        return self

    @property
    def has_annotations(self) -> bool:
        return self.caption is not None or self.question is not None

    @property
    def option_columns(self) -> tuple[str, ...]:
        if self.options is None:
            return ()
        return (self.options,) if isinstance(self.options, str) else self.options

    @property
    def named(self) -> tuple[str, ...]:
        """All columns that the config names, each once."""
        single = (self.video, self.caption, self.question, self.answer, *self.option_columns, self.id)
        return tuple(dict.fromkeys(name for name in single if name is not None))


class NearDuplicateConfig(Config):
    """The same footage at another size, rate or encoding. Off by default: clips of one fixed camera look alike to a hash of
    9 x 8 grey values though different things happen in them (clips of one signer: 6 bits apart, poor re-encodings: up to 4.5),
    and such clips are what temporal questions are asked about. Videos that are reversed or mirrored are no duplicates. The frames are
    read in a pass of their own."""

    max_distance: float | None = Field(
        None, ge=0, le=6, description="mean bits (of 64) in which the hashes of two videos' frames differ, at most; 3 is strict"
    )
    frames: int = Field(8, ge=2, le=32, description="frames of each video, evenly spread, compared in order")
    duration_tolerance: float = Field(
        0.05, ge=0, lt=1, description="durations differ by this share at most: a cut or sped-up copy is another video"
    )


class IngestConfig(Config):
    """Which videos may stay. None: no limit."""

    check: Literal["probe", "full"] = Field(
        "probe",
        description="probe: every frame is decoded, of videos beyond limits.seek_beyond_s the packets and three frames; full: all",
    )
    min_duration: float | None = Field(None, gt=0, description="seconds; filtered as too_short")
    max_duration: float | None = Field(None, gt=0, description="seconds; filtered as too_long")
    min_frames: int | None = Field(None, ge=1, description="frames; filtered as too_few_frames")
    min_side: int | None = Field(None, ge=1, description="pixels of the shorter side; filtered as too_small")
    max_side: int | None = Field(None, ge=1, description="pixels of the longer side; filtered as too_large")
    codecs: tuple[str, ...] | None = Field(
        None, min_length=1, description="FFmpeg's names (h264, hevc, vp9, av1, ..); others are filtered as codec"
    )
    near_duplicates: NearDuplicateConfig = NearDuplicateConfig()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for low, high in (("min_duration", "max_duration"), ("min_side", "max_side")):
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} {least} is above {high} {most}")
        return self
