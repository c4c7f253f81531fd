"""`temporal-shapes`: questions of a split of the synthetic corpus, in the five TempCompass aspects and about what is there."""

from pathlib import Path

from pydantic import ConfigDict, Field, field_validator

from vtalign.config import Config, validate_config
from vtalign.errors import InputError
from vtalign_eval.benchmarks.benchmark import Benchmark
from vtalign_eval.grade import grade_options, normalise
from vtalign_eval.items import Item, check_items, is_confined, read_lines

QUESTIONS = "questions.jsonl"
TEMPORAL = ("action", "direction", "speed", "order", "attribute_change")
STATIC = ("static",)


class _Row(Config):
    # other fields (the template, say) are the writer's business
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    question_id: str = Field(min_length=1)
    video: str
    family: str = Field(min_length=1)
    aspect: str
    group: str | None = None
    events: int = Field(ge=1)
    question: str = Field(min_length=1)
    options: list[str] = Field(min_length=2)
    answer: str

    @field_validator("video")
    @classmethod
    def _inside(cls, value: str) -> str:
        if not is_confined(value):
            raise ValueError("must be a relative path inside the data folder")
        return value

    @field_validator("aspect")
    @classmethod
    def _known_aspect(cls, value: str) -> str:
        if value not in (*TEMPORAL, *STATIC):
            raise ValueError(f"unknown aspect (known: {', '.join((*TEMPORAL, *STATIC))})")
        return value

    @field_validator("options")
    @classmethod
    def _distinct(cls, value: list[str]) -> list[str]:
        plain = [normalise(option) for option in value]
        if "" in plain or len(set(plain)) < len(plain):
            raise ValueError("options must differ from each other and from nothing")
        return value


def load(data: Path) -> tuple[Item, ...]:
    """Items of `data/questions.jsonl` in file order. Raises InputError `file:line: field: reason`."""
    path = data / QUESTIONS
    items, lines = [], []
    for number, raw in read_lines(path):
        row = validate_config(_Row, raw, f"{path}:{number}")
        if row.answer not in row.options:
            raise InputError(f"{path}:{number}: answer: {row.answer!r} is none of the options {row.options}")
        fields = row.model_dump() | {"options": tuple(row.options)}
        items.append(Item(**fields))
        lines.append(number)
    if not items:
        raise InputError(f"{path}: holds no questions")
    check_items(items, lambda index: f"{path}:{lines[index]}")
    return tuple(items)


TEMPORAL_SHAPES = Benchmark(
    name="temporal-shapes",
    load=load,
    question_files=(QUESTIONS,),
    grade=grade_options,
    temporal_aspects=TEMPORAL,
    static_aspects=STATIC,
)
