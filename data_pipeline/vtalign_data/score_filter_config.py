"""`ScoreFilterConfig`: thresholds of the last filters, which look at scores and at pairs that resemble each other."""

import math
from typing import Self

from pydantic import Field, FiniteFloat, model_validator

from vtalign.config import Config


class ScoreFilterConfig(Config):
    """Which scored pairs stay (rules: vtalign_data/score_rules.py and near_duplicates.py). As it is, all of them do."""

    min_divergence: float | None = Field(
        None, ge=0, le=math.log(2), description="false_rejection: of what the model expects on both views, nats, at most log 2"
    )
    min_first_token_kl: FiniteFloat | None = Field(None, ge=0, description="false_rejection: KL of the first token, nats")
    min_margin: FiniteFloat | None = Field(None, description="margin: log p(chosen) - log p(rejected), nats, at least this")
    max_margin: FiniteFloat | None = Field(None, description="margin: the same, at most this: what the model knows already")
    max_ches: FiniteFloat | None = Field(None, description="ches: length-normalised CHES, at most this")
    drop_top_ches: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="ches: the share of the pairs that goes, those of the highest CHES. Pairs that tell the same clips in another "
        "order have high CHES by nature",
    )
    near_duplicate: float | None = Field(
        None, gt=0, le=1, description="near_duplicate: a pair goes whose texts are at least this similar to an earlier pair's"
    )

    @property
    def of_scores(self) -> list[str]:
        """The thresholds that are set and need scores."""
        fields = ((name, field) for name, field in type(self).model_fields.items() if name != "near_duplicate")
        return [name for name, field in fields if getattr(self, name) != field.default]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_margin is not None and self.max_margin is not None and self.min_margin > self.max_margin:
            raise ValueError(f"min_margin {self.min_margin} is above max_margin {self.max_margin}")
        return self
