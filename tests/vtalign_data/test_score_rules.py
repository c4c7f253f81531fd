import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vtalign.preference.pair import VIEW_KIND
from vtalign_data.score_filter_config import ScoreFilterConfig
from vtalign_data.score_rules import Rule, false_rejections, high_ches, margins_out_of_bounds

from .scored import scored

RULES: tuple[Rule, ...] = (false_rejections, margins_out_of_bounds, high_ches)


@pytest.mark.parametrize(
    ("rule", "settings", "scores", "said"),
    [
        (false_rejections, {"min_divergence": 0.2}, {"divergence": 0.2}, None),
        (false_rejections, {"min_divergence": 0.2}, {"divergence": 0.1999}, "divergence 0.1999 is below 0.2"),
        (false_rejections, {"min_divergence": 0.2}, {"divergence": None}, None),
        (false_rejections, {"min_first_token_kl": 0.5}, {"first_token_kl": 0.5}, None),
        (false_rejections, {"min_first_token_kl": 0.5}, {"first_token_kl": 0.0}, "first_token_kl 0 is below 0.5"),
        (margins_out_of_bounds, {"min_margin": 2.0}, {"logp_rejected": -12.0}, None),
        (margins_out_of_bounds, {"min_margin": 2.0}, {"logp_rejected": -11.5}, "margin 1.5 is below 2"),
        (margins_out_of_bounds, {"max_margin": 2.0}, {"logp_rejected": -12.0}, None),
        (margins_out_of_bounds, {"max_margin": 2.0}, {"logp_rejected": -12.5}, "margin 2.5 is above 2"),
        (margins_out_of_bounds, {"min_margin": -1.0, "max_margin": 1.0}, {"logp_rejected": -8.0}, "margin -2 is below -1"),
        (high_ches, {"max_ches": -1.0}, {"ches": -1.0}, None),
        (high_ches, {"max_ches": -1.0}, {"ches": -0.5}, "ches -0.5 is above -1"),
        (high_ches, {"max_ches": -1.0}, {"ches": None}, None),
    ],
)
def test_each_rule_at_its_threshold(rule: Rule, settings: dict, scores: dict, said: str | None) -> None:
    assert rule([scored(1, **scores)], ScoreFilterConfig(**settings)) == ({} if said is None else {"pair-001": said})


def test_the_top_share_of_ches() -> None:
    pairs = [scored(number, ches=ches) for number, ches in enumerate([-3.0, -1.0, -2.0, -1.0, -5.0])]
    assert set(high_ches(pairs, ScoreFilterConfig(drop_top_ches=0.2))) == {"pair-003"}, "of equal ones the last"
    assert set(high_ches(pairs, ScoreFilterConfig(drop_top_ches=0.59))) == {"pair-001", "pair-003"}
    assert high_ches(pairs, ScoreFilterConfig(drop_top_ches=0.2))["pair-003"] == "ches -1 is among the top 0.2 of 5"
    assert high_ches([scored(1, ches=None)], ScoreFilterConfig(drop_top_ches=0.9)) == {}


def test_pairs_of_views_have_no_ches_and_the_margin_of_their_views() -> None:
    view = scored(1, kind=VIEW_KIND, logp_rejected=-10.0, logp_chosen_perturbed=-10.25, ches=0.0)
    assert high_ches([view, scored(2)], ScoreFilterConfig(max_ches=-2.0)) == {"pair-002": "ches -1 is above -2"}
    assert high_ches([view, scored(2), scored(3)], ScoreFilterConfig(drop_top_ches=0.5)).keys() == {"pair-003"}
    assert margins_out_of_bounds([view], ScoreFilterConfig(min_margin=0.3)) == {"pair-001": "margin 0.25 is below 0.3"}
    assert margins_out_of_bounds([view], ScoreFilterConfig(max_margin=0.25)) == {}


@given(
    st.lists(st.tuples(st.floats(0, 0.69), st.floats(-20, 0), st.floats(-5, 5)), max_size=12),
    st.tuples(st.floats(0, 0.69), st.floats(-10, 10), st.floats(-5, 5), st.floats(0, 0.99)),
    st.tuples(st.floats(0, 0.69), st.floats(-10, 10), st.floats(-5, 5), st.floats(0, 0.99)),
)
def test_a_stricter_threshold_never_brings_a_pair_back(values: list, one: tuple, other: tuple) -> None:
    pairs = [scored(k, divergence=d, logp_rejected=logp, ches=ches) for k, (d, logp, ches) in enumerate(values)]
    mild = {"min_divergence": min(one[0], other[0]), "min_margin": min(one[1], other[1])}
    strict = {"min_divergence": max(one[0], other[0]), "min_margin": max(one[1], other[1])}
    mild |= {"max_ches": max(one[2], other[2]), "drop_top_ches": min(one[3], other[3])}
    strict |= {"max_ches": min(one[2], other[2]), "drop_top_ches": max(one[3], other[3])}
    for rule in RULES:
        assert set(rule(pairs, ScoreFilterConfig(**mild))) <= set(rule(pairs, ScoreFilterConfig(**strict)))
        assert rule(pairs[::-1], ScoreFilterConfig(**strict)) == rule(pairs, ScoreFilterConfig(**strict))


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_margin": 1.0, "max_margin": 0.0},
        {"min_divergence": 0.7},
        {"min_divergence": -0.1},
        {"max_ches": float("nan")},
        {"drop_top_ches": 1.0},
        {"near_duplicate": 0.0},
        {"near_duplicate": 1.1},
    ],
)
def test_thresholds_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        ScoreFilterConfig(**wrong)
