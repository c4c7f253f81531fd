"""`CurriculumSettings`: in which order a stage meets its pairs, and the words for it that plans and model cards show."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from vtalign.config import Config

FROM_SCORES = ("score", "divergence", "reward_gap")
"""Difficulties that come from what a model says of the pairs, so that `rescore` can renew them."""

COLUMN, RATED_GAP = "column:", "reward_gap:"

_KNOWN = f"strength, {', '.join(FROM_SCORES)}, {RATED_GAP}NAME, text_length, {COLUMN}NAME"
_DEFAULT_START = 0.25

DEFAULT_STAGES = 4
"""Where every pair has a difficulty of its own."""


class CurriculumSettings(Config):
    """In which order a stage meets its pairs: how hard each is (`by`), and how soon the hard ones come (`pacing`)."""

    order: Literal["easy_to_hard", "hard_to_easy", "random", "mixed"] = Field("random", description="the last three are controls")
    by: str | dict[str, float] = Field(
        "strength",
        description="what makes a pair hard. `strength`: a weak perturbation; `score`: a small reward margin per token; `divergence`: a "
        "perturbation that hardly moves the model's predictions; `reward_gap`: of the responses to one prompt, a rejected one close "
        "to the chosen one by log-prob per token, or by the pairs' columns chosen_NAME and rejected_NAME with `reward_gap:NAME`; "
        "`text_length`: long responses, in characters (a control); `column:NAME`: large numbers in a column of the pairs, such as "
        "`column:difficulty`. Several are blended by rank: {score: 0.7, divergence: 0.3}",
    )
    pacing: Literal["staged", "linear", "root", "geometric"] = Field(
        "staged",
        description="stage after stage, or an open share of the pairs that grows from `start` to all and from which pairs are drawn "
        "without replacement: evenly, as a square root (soon), or by a constant factor (late)",
    )
    stages: Annotated[int, Field(ge=1)] | Literal["by_value"] | None = Field(
        None,
        description="so many stages of equal size, or `by_value`: one for each distinct difficulty; the order inside a stage is "
        "random. Default: by_value for strength and reward_gap, otherwise 4. For staged pacing",
    )
    start: float | None = Field(
        None, gt=0, lt=1, description="share of the pairs that is open at first; default 0.25. For the other pacings"
    )
    duration: float | None = Field(
        None, gt=0, le=1, description="share of the training after which all pairs are open; default 1. For the other pacings"
    )
    replay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the pairs that are repeats of easier ones: of each stage, from the stages before it; with other pacings "
        "from the half of the open pairs that opened first. The training is as long as without, so that other pairs give way: "
        "raise `epochs` by as much to meet them all",
    )
    rescore: bool = Field(
        False,
        description="difficulties from scores by the model that this stage starts from, not from the scores that the pairs came with: "
        "with several dpo stages, each is ordered by what the one before has learned (self-paced)",
    )
    window: Annotated[int, Field(ge=1)] | Literal["stage"] = Field(
        "stage",
        description="how far apart, in optimiser steps, pairs about one video may lie to be brought together: they share a row, which "
        "is faster, and a step sees fewer videos. `stage`: all of a curriculum stage, or a tenth of the training with a pacing that "
        "has none; there a pair may come earlier than it opens, by less than the window",
    )

    @field_validator("by", mode="before")
    @classmethod
    def _known_difficulties(cls, value: Any) -> Any:
        weights = {value: 1.0} if isinstance(value, str) else value
        if not isinstance(weights, Mapping) or not weights:
            raise ValueError(f"expected a difficulty or weights of several (known: {_KNOWN})")
        for name, weight in weights.items():
            if not _is_known(name):
                raise ValueError(f"unknown difficulty '{name}' (known: {_KNOWN})")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
                raise ValueError(f"the weight of '{name}' should be a number above 0")
        return value

    @model_validator(mode="after")
    def _possible_curriculum(self) -> Self:
        if self.pacing == "staged":
            for name in ("start", "duration"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} belongs to pacing linear, root or geometric; staged pacing has `stages`")
            if self.replay and self.order in ("random", "mixed"):
                raise ValueError(f"replay needs stages that follow each other; order {self.order} has none, leave it at 0")
        else:
            if self.order == "mixed":
                raise ValueError(f"order mixed needs pacing staged; there are no stages to mix with {self.pacing} pacing")
            if self.stages is not None:
                raise ValueError(f"stages belong to pacing staged; {self.pacing} pacing has `start` and `duration`")
        if self.rescore and not self.from_scores:
            raise ValueError(f"rescore needs a difficulty that comes from scores ({', '.join(FROM_SCORES)}), not {_by(self)}")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """The difficulties that are blended, and how much each counts."""
        return {self.by: 1.0} if isinstance(self.by, str) else self.by

    @property
    def columns(self) -> tuple[str, ...]:
        """The user's columns of the pairs' file that difficulties come from."""
        found = []
        for name in self.weights:
            if name.startswith(COLUMN):
                found.append(name.removeprefix(COLUMN))
            elif name.startswith(RATED_GAP):
                found += rating_columns(name)
        return tuple(found)

    @property
    def from_scores(self) -> bool:
        """Whether a model's scores have a part in the difficulties."""
        return any(name in FROM_SCORES for name in self.weights)

    @property
    def has_stages(self) -> bool:
        """Whether training goes through stages, one after the other."""
        return self.pacing == "staged" and self.order in ("easy_to_hard", "hard_to_easy")

    @property
    def start_share(self) -> float:
        return _DEFAULT_START if self.start is None else self.start

    @property
    def duration_share(self) -> float:
        return 1.0 if self.duration is None else self.duration


def by_value(curriculum: CurriculumSettings) -> bool:
    """Whether few values are shared by many pairs, so that each of them makes a stage unless `stages` says otherwise."""
    return isinstance(curriculum.by, str) and (curriculum.by in ("strength", "reward_gap") or curriculum.by.startswith(RATED_GAP))


def rating_columns(difficulty: str) -> tuple[str, str]:
    """The columns of the two sides that `reward_gap:NAME` compares."""
    name = difficulty.removeprefix(RATED_GAP)
    return f"chosen_{name}", f"rejected_{name}"


def describe(curriculum: CurriculumSettings) -> str:
    """The curriculum in words: `easy to hard by strength, one stage for each value`."""
    if curriculum.pacing == "staged" and curriculum.order == "random":
        return "random order"
    direction = curriculum.order.replace("_", " ")
    if curriculum.pacing == "staged":
        parts = [f"{direction} by {_by(curriculum)}", _stages(curriculum)]
    else:
        paced = f"{curriculum.pacing} pacing from {_percent(curriculum.start_share)}"
        how = {"easy_to_hard": "", "hard_to_easy": " hard to easy", "random": " in random order"}[curriculum.order]
        parts = [paced + how + ("" if curriculum.order == "random" else f" by {_by(curriculum)}")]
        if curriculum.duration_share < 1:
            parts.append(f"all open after {_percent(curriculum.duration_share)}")
    if curriculum.replay:
        parts.append(f"replay {_percent(curriculum.replay)}")
    if curriculum.rescore:
        parts.append("scored again by the model it starts from")
    return ", ".join(parts)


def _is_known(name: object) -> bool:
    if not isinstance(name, str):
        return False
    own = any(name.startswith(prefix) and name != prefix for prefix in (COLUMN, RATED_GAP))
    return own or name in ("strength", "text_length", *FROM_SCORES)


def _by(curriculum: CurriculumSettings) -> str:
    if isinstance(curriculum.by, str):
        return curriculum.by
    return " + ".join(f"{name} {weight:g}" for name, weight in curriculum.by.items())


def _stages(curriculum: CurriculumSettings) -> str:
    if isinstance(curriculum.stages, int):
        return f"{curriculum.stages} stages"
    return "one stage for each value" if curriculum.stages == "by_value" or by_value(curriculum) else f"{DEFAULT_STAGES} stages"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
