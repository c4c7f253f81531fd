from collections.abc import Callable
from dataclasses import replace

import pytest

from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.gains import gains_over
from vtalign_eval.outcomes import Outcome

BENCHMARK = find_benchmark("temporal-shapes")
Make = Callable[..., Outcome]


def asked(make: Make, right: Callable[[int, int], bool]) -> list[Outcome]:
    """Sixteen families with one conflict group of two; `right` by family and sibling."""
    return [
        make(f"f{family}:{sibling}", right=right(family, sibling), group=f"g{family}", answer=("left", "right")[sibling])
        for family in range(16)
        for sibling in range(2)
    ]


def test_the_gain_is_what_the_control_takes_away(make_outcome: Make) -> None:
    plain = asked(make_outcome, lambda family, _: family < 12)
    control = asked(make_outcome, lambda _, sibling: sibling == 0)  # answers all siblings the same
    found = gains_over(plain, control, BENCHMARK, seed=0)
    strict, temporal = found["metrics"]["temporal_strict"], found["metrics"]["temporal"]
    assert (strict["control"], strict["gain"]) == (0.0, 0.75)
    assert (temporal["control"], temporal["gain"]) == (0.5, 0.25)
    assert strict["ci95"][0] > 0 and strict["p_value"] < 0.01
    assert found["metrics"]["same_answer_rate"]["gain"] == -1.0
    assert found["aspects"] == {"order": {"accuracy": temporal, "strict": strict}}
    assert found["uncontrolled"] == 0


def test_who_scores_the_same_under_a_control_gained_nothing(make_outcome: Make) -> None:
    plain = asked(make_outcome, lambda family, sibling: (family + sibling) % 3 > 0)
    still = [replace(outcome, uncontrolled=outcome.family == "f0") for outcome in plain]
    found = gains_over(plain, still, BENCHMARK, seed=0)
    for entry in found["metrics"].values():
        assert (entry["gain"], entry["ci95"], entry["p_value"]) == (0.0, [0.0, 0.0], 1.0)
    assert found["uncontrolled"] == 2


def test_a_benchmark_with_tasks_has_gains_by_task(make_outcome: Make) -> None:
    plain = [replace(outcome, task="yes_no") for outcome in asked(make_outcome, lambda family, _: family < 12)]
    control = [replace(outcome, correct=False) for outcome in plain]
    found = gains_over(plain, control, BENCHMARK, seed=0)
    assert found["tasks"]["yes_no"]["accuracy"] == found["metrics"]["temporal"]


def test_pairing_makes_gains_surer_than_two_separate_scores(make_outcome: Make) -> None:
    plain = asked(make_outcome, lambda family, _: family < 6)
    control = asked(make_outcome, lambda family, _: family < 5)
    gain = gains_over(plain, control, BENCHMARK, seed=0)["metrics"]["temporal"]
    assert gain["gain"] == pytest.approx(1 / 16)
    # sixteen families with one difference among them: sqrt(1/16 * 15/16 / 16)
    assert gain["minimum_detectable"] == pytest.approx(2.8016 * (15 / 256 / 16) ** 0.5, rel=0.03)
