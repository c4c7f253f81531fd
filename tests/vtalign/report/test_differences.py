"""Differences on a common axis with no difference in its middle."""

import re

from vtalign.report.differences import Difference, difference_chart


def places(text: str) -> list[float]:
    return [float(place) for place in re.findall(r'difference-dot" style="left:([\d.]+)%', text)]


def test_the_middle_is_zero_and_the_axis_reaches_the_widest_interval() -> None:
    text = difference_chart("by aspect", [Difference("order", 0.05, -0.05, 0.15), Difference("speed", 0.0, None, None)])
    assert "the ends of an axis are −20 and +20 points" in text
    assert places(text) == [62.5, 50.0]
    assert 'bar-whisker" style="left:37.50%;width:50.00%"' in text and text.count("bar-whisker") == 1
    assert "+5.0<span>[−5.0, +15.0]</span>" in text and "+0.0<span></span>" in text


def test_the_largest_possible_difference_is_on_the_axis() -> None:
    assert places(difference_chart("t", [Difference("a", -1.0, -1.0, -1.0), Difference("b", 1.0, None, None)])) == [0.0, 100.0]


def test_nothing_to_draw_is_no_error_and_labels_are_escaped() -> None:
    assert places(difference_chart("t", [])) == []
    assert "<b>" not in difference_chart("<b>", [Difference("<b>", 0.1, 0.0, 0.2)])
