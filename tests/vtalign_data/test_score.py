"""Scores that are no numbers cost their pair, and the line says which."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from vtalign.preference.pair import PreferencePair, Scores, TokenLogps
from vtalign_data import score
from vtalign_data.stage import Stage

SCORES = Scores(-3.0, -4.0, 1, 1, -3.5, divergence=0.1, first_token_kl=0.2, ches=-1.0)


class NothingToRead:
    """A frame store: the model is not asked."""

    def prefetch(self, views: object) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("name", ["logp_rejected", "divergence", "first_token_kl", "ches"])
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_score_that_is_no_number(
    stage_of: Callable[[str], Stage], monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    rows = list(stage_of("filter").rows())[:3]

    def scored(model: object, pairs: list[PreferencePair], *_: object, **__: object) -> list[PreferencePair]:
        tokens = TokenLogps((-3.0,), (-4.0,))
        done = [replace(pair, scores=SCORES, token_logps=tokens, fingerprint="model-0") for pair in pairs]
        return [replace(done[0], scores=replace(SCORES, **{name: value})), *done[1:]]

    monkeypatch.setattr(score, "score_pairs", scored)
    result = score.score_candidates([rows], None, NothingToRead(), 4)  # type: ignore[arg-type]
    (lost,) = result.rejected
    assert (lost.id, lost.outcome, lost.reason) == (rows[0]["pair_id"], "failed", "score_not_finite")
    assert f"{name}={value}" in lost.detail
    assert [row["pair_id"] for row in result.rows] == [row["pair_id"] for row in rows[1:]]
    assert result.rows[0]["scores"] == vars(SCORES) and result.rows[0]["token_logps"] == {
        "chosen": (-3.0,),
        "rejected": (-4.0,),
        "chosen_perturbed": None,
    }
