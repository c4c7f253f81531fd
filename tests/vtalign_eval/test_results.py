import json
from collections.abc import Callable
from typing import Any

import pytest

from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.outcomes import Outcome
from vtalign_eval.results import results_of

BENCHMARK = find_benchmark("temporal-shapes")
RECORD: dict[str, Any] = {"benchmark": "temporal-shapes", "config": {"model": "m"}, "data": {"questions": 33}}


@pytest.fixture
def results(make_outcome: Callable[..., Outcome]) -> dict[str, Any]:
    outcomes = [
        make_outcome(f"f{i % 16}:{i}", right=i % 2 == 0, group=f"g{i % 16}", answer=("left", "right")[i // 16]) for i in range(32)
    ]
    return results_of(outcomes, BENCHMARK, 0, RECORD)


def test_the_layout_is_that_of_lmms_eval(results: dict[str, Any]) -> None:
    task = results["results"]["temporal-shapes"]
    assert task["alias"] == "temporal-shapes"
    assert task["temporal,none"] == task["order_accuracy,none"] == 0.5
    assert isinstance(task["temporal_stderr,none"], float)
    assert results["n-samples"]["temporal-shapes"] == {"original": 33, "effective": 32}
    for field in ("configs", "versions", "n-shot", "higher_is_better", "task_hashes"):
        assert list(results[field]) == ["temporal-shapes"]
    assert {f"{name},none" for name in results["higher_is_better"]["temporal-shapes"]} <= task.keys()
    assert results["higher_is_better"]["temporal-shapes"]["same_answer_rate"] is False
    json.dumps(results, allow_nan=False)


def test_every_number_has_its_error_bar_and_its_size(results: dict[str, Any]) -> None:
    metric = results["vtalign"]["metrics"]["temporal"]
    assert (metric["value"], metric["n"], metric["clusters"]) == (0.5, 32, 16)
    assert metric["ci95"][0] <= 0.5 <= metric["ci95"][1]
    assert results["vtalign"]["metrics"]["temporal_strict"]["n"] == 16
    # against another run, whose error is as large and independent
    assert metric["minimum_detectable"] == pytest.approx(2.8016 * 2**0.5 * metric["standard_error"], rel=1e-3)
    assert results["vtalign"]["versions"]["numpy"]


def test_what_cannot_be_estimated_is_left_open_not_invented(make_outcome: Callable[..., Outcome]) -> None:
    results = results_of([make_outcome("f:a", right=True)], BENCHMARK, 0, RECORD)
    metric = results["vtalign"]["metrics"]["temporal"]
    assert (metric["ci95"], metric["standard_error"], metric["minimum_detectable"]) == (None, None, None)
    assert results["results"]["temporal-shapes"]["temporal_stderr,none"] == "N/A"
    assert "static" not in results["vtalign"]["metrics"]
