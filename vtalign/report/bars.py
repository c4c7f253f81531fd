"""Bar charts with intervals, drawn by the browser from percentages, so that they stay readable at any width."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vtalign.report.page import render


@dataclass(frozen=True)
class Bar:
    """One value with its interval, all fractions in 0..1. `series` picks the colour (0 is the grey of a baseline)."""

    label: str
    value: float
    low: float
    high: float
    series: int = 0


@dataclass(frozen=True)
class BarGroup:
    """Bars that belong together: one metric over the arms. `chance` draws a line where guessing would be."""

    title: str
    bars: Sequence[Bar]
    chance: float | None = None


def bar_chart(groups: Sequence[BarGroup], note: str = "") -> Markup:
    """Grouped horizontal bars on a common 0 to 100 % axis, whiskers for the intervals."""
    return render("bars.html.j2", groups=groups, note=note)
