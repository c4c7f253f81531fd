"""Settings of annotated sources: where questions and captions are, how the model is asked, how its answers are judged."""

from pathlib import Path
from string import Formatter
from typing import Self

from pydantic import Field, field_validator, model_validator

from vtalign.config import Config
from vtalign.judging.config import JudgeConfig
from vtalign_data.ingest_config import ColumnConfig


class AnnotationConfig(Config):
    """RRPO's way (arXiv 2504.12083): the model answers on perturbed views; what it gets wrong there is rejected, the truth chosen."""

    file: Path | None = Field(
        None,
        description="annotations of the videos, .jsonl, .csv, .tsv or .parquet, joined with them by path, its columns mapped under "
        "`columns` here; without one the manifest's own are taken, mapped under the build's `columns`",
    )
    columns: ColumnConfig = ColumnConfig()
    require_known: bool = Field(
        False, description="ask on the clean view as well, and leave out questions that the model gets wrong there too"
    )
    options_prompt: str = "{question}\n{options}\nAnswer with the letter of the right option."
    yes_no_prompt: str = "{question}\nAnswer yes or no."
    open_prompt: str = "{question}"
    caption_prompt: str = Field("Describe what happens in this video in one or two sentences.", min_length=1)
    max_new_tokens: int = Field(64, ge=1, description="longest answer in tokens")
    temperature: float = Field(0.0, ge=0)
    max_overlap_answer: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="an open answer whose words overlap more (token F1) with the truth is not called wrong by rule",
    )
    max_overlap_caption: float = Field(
        0.5, ge=0, lt=1, description="a caption whose words overlap more (token F1) with the true one is not called wrong by rule"
    )
    judge: JudgeConfig | None = Field(None, description="decides what no rule does; without one that is left out, and counted")

    @model_validator(mode="after")
    def _columns_of_the_file(self) -> Self:
        if self.file is None and self.columns != ColumnConfig():
            raise ValueError("columns are those of a file: name it, or map the manifest's under the build's `columns`")
        if self.file is not None and not self.columns.has_annotations:
            raise ValueError("columns: say which column of the file is the caption, or which are question and answer")
        return self

    @field_validator("options_prompt", "yes_no_prompt", "open_prompt")
    @classmethod
    def _has_question(cls, value: str) -> str:
        try:
            found = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        except ValueError as error:
            raise ValueError(f"'{value}' is no template: {error}") from None
        if "question" not in found or found - {"question", "options"}:
            raise ValueError(f"'{value}' must have the field {{question}}, and may have {{options}}")
        return value

    @field_validator("options_prompt")
    @classmethod
    def _has_options(cls, value: str) -> str:
        if "{options}" not in value:
            raise ValueError(f"'{value}' lacks field {{options}}")
        return value
