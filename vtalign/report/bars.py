"""Bar charts with intervals, drawn by the browser from percentages, so that they stay readable at any width."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from markupsafe import Markup

from vtalign.report.page import render

SERIES = 8
"""So many colours there are."""


class Measure(TypedDict):
    """A fraction, its 95 % interval (None: there is none), and how many questions (or groups) it is over.

    `chance`: what guessing gives. `minimum_detectable`: the difference to an unrelated run that could be told apart (fraction).
    """

    value: float
    low: float | None
    high: float | None
    n: int
    chance: float | None
    minimum_detectable: NotRequired[float | None]


@dataclass(frozen=True)
class Bar:
    """One value with its interval (None: no whisker), all fractions in 0..1. `series` picks the colour (0 is the grey of a baseline)."""

    label: str
    value: float
    low: float | None
    high: float | None
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


def bar_group(title: str, measures: Mapping[str, Measure | None], series: int = 0) -> BarGroup:
    """One metric of several runs, in their order, which is that of the colours from `series` on; None where a run lacks it."""
    found = [(place, name, measure) for place, (name, measure) in enumerate(measures.items(), series) if measure is not None]
    bars = [Bar(name, m["value"], m["low"], m["high"], place % SERIES) for place, name, m in found]
    chance = next((measure["chance"] for _, _, measure in found), None)
    count = f" (n = {found[0][2]['n']:,})" if found else ""
    return BarGroup(title + count, bars, chance)
