"""Bars say what the numbers say, and draw no interval where there is none."""

from vtalign.report.bars import Measure, bar_chart, bar_group


def measure(value: float, low: float | None, high: float | None, chance: float | None = None) -> Measure:
    return {"value": value, "low": low, "high": high, "n": 1200, "chance": chance}


def test_an_interval_is_a_whisker_and_none_is_no_whisker() -> None:
    text = bar_chart([bar_group("order", {"A": measure(0.5, 0.25, 0.75), "B": measure(0.625, None, None)})])
    assert text.count("bar-whisker") == 1 and "left:25.00%;width:50.00%" in text
    assert "50.0<span>25.0–75.0</span>" in text and ">62.5</div>" in text


def test_colours_follow_the_place_of_a_run_also_where_another_lacks_the_metric() -> None:
    group = bar_group("order", {"A": None, "B": measure(0.5, None, None), "C": measure(0.5, None, None)}, series=7)
    assert [(bar.label, bar.series) for bar in group.bars] == [("B", 0), ("C", 1)]
    assert group.title == "order (n = 1,200)"


def test_chance_is_that_of_the_first_run_and_a_group_of_nothing_is_empty() -> None:
    assert bar_group("order", {"A": measure(0.5, None, None, 0.25), "B": measure(0.5, None, None)}).chance == 0.25
    empty = bar_group("order", {"A": None})
    assert (empty.title, list(empty.bars), empty.chance) == ("order", [], None)
