"""Differences of two runs with their intervals on a common axis that has no difference in its middle."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vtalign.report.page import render
from vtalign.report.tables import interval, points

_EDGES = (0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Difference:
    """A difference of two fractions (B less A) and its 95 % interval (None: there is none)."""

    label: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class _Row:
    label: str
    place: float  # all in per cent of the track
    whisker: tuple[float, float] | None
    text: str
    interval: str


def difference_chart(title: str, differences: Sequence[Difference]) -> Markup:
    """One line each: a dot for the value, a whisker for the interval. The axis is as wide as the widest of them needs."""
    reach = max((abs(end) for d in differences for end in (d.value, d.low, d.high) if end is not None), default=0.0)
    edge = next((edge for edge in _EDGES if reach <= edge), 1.0)
    note = f"The line in the middle is no difference; the ends of an axis are −{100 * edge:.0f} and +{100 * edge:.0f} points."
    return render("differences.html.j2", title=title, rows=[_row(d, edge) for d in differences], note=note)


def _row(difference: Difference, edge: float) -> _Row:
    low, high = difference.low, difference.high
    whisker, spelt = None, ""
    if low is not None and high is not None:
        whisker, spelt = (_place(low, edge), _place(high, edge) - _place(low, edge)), interval(low, high)
    return _Row(difference.label, _place(difference.value, edge), whisker, points(difference.value), spelt)


def _place(value: float, edge: float) -> float:
    return 50 + 50 * value / edge
