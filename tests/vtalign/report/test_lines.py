"""Line charts: round ticks that cover the data, shaded stages, no crash on odd series."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.report.lines import Line, Stage, line_chart, running_mean, ticks

numbers = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6)


@given(numbers, numbers)
def test_ticks_cover_the_range_and_are_few(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high)
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    assert found[0] <= low + slack and found[-1] >= high - slack
    assert 2 <= len(found) <= 8 and found == sorted(set(found))


def test_ticks_by_hand() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3, 97) == [0, 20, 40, 60, 80, 100]


def test_small_ticks_are_short() -> None:
    chart = line_chart("Learning rate", [Line("lr", [(0, 0.0), (1, 1.5e-4)])])
    assert ">0.0001<" not in chart and ">1e−4<" in chart and ">1.5e−4<" in chart
    assert ">0.02<" in line_chart("larger", [Line("y", [(0, 0.0), (1, 0.1)])])


def test_running_mean_by_hand() -> None:
    assert running_mean([1, 2, 3, 10], 3) == [1.5, 2, 5, 6.5]


def test_stages_are_drawn_and_named() -> None:
    chart = line_chart("Loss", [Line("loss", [(1, 0.7), (2, 0.6)])], [Stage("easy <1>", 1, 2), Stage("sft", 2, 4)])
    assert chart.count("<rect") == 2 and "easy &lt;1&gt;" in chart


def test_one_point_and_values_that_are_not_finite() -> None:
    assert "<path" in line_chart("one", [Line("a", [(1, 0.5), (2, math.nan)])])
    with pytest.raises(ValueError, match="no finite point"):
        line_chart("none", [Line("a", [(1, math.inf)])])


def test_many_points_are_smoothed_over_pale_ones() -> None:
    chart = line_chart("many", [Line("a", [(step, math.sin(step)) for step in range(100)])])
    assert chart.count("<path") == 2 and "pale" in chart
    exact = line_chart("many", [Line("a", [(step, float(step)) for step in range(100)], noisy=False)])
    assert exact.count("<path") == 1 and "pale" not in exact
