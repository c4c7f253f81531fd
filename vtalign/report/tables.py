"""Tables of plain values."""

import re
from collections.abc import Sequence

from markupsafe import Markup

from vtalign.report.page import render

_NAME = re.compile(r"\d+\w*-[A-Za-z]")


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Markup:
    """A table that scrolls sideways where it is too wide. Columns of numbers, or of numbers and gaps (""), are aligned right; give
    numbers formatted or as int."""
    return _drawn(headers, rows, [_is_numeric([row[column] for row in rows]) for column in range(len(headers))], caption)


def text_table(headers: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Markup:
    """A table of texts, which may look like numbers ("2 balls") and are long: no column is aligned right or kept on one line."""
    return _drawn(headers, rows, [False] * len(headers), caption)


def percent(value: float, digits: int = 1) -> str:
    """A fraction as percent."""
    return f"{100 * value:.{digits}f} %"


def points(value: float) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def interval(low: float, high: float) -> str:
    """An interval of differences in percentage points."""
    return f"[{points(low)}, {points(high)}]"


def p_value(value: float) -> str:
    """Two-sided p; a bootstrap cannot tell values under .001 apart, so they are not spelt out."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def optional_percent(value: float | None) -> str:
    """A fraction as percent; a gap where there is none."""
    return "" if value is None else percent(value)


def optional_span(bounds: Sequence[float] | None) -> str:
    """An interval of differences in percentage points; said where there is none (too few families)."""
    return "no interval" if bounds is None else interval(*bounds)


def optional_interval(low: float | None, high: float | None) -> str:
    """An interval of fractions in percent (of a value, not of a difference); a gap where there is none."""
    return "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}"


def _drawn(headers: Sequence[str], rows: Sequence[Sequence[object]], numeric: Sequence[bool], caption: str) -> Markup:
    cells = [[(_shown(value), is_number) for value, is_number in zip(row, numeric, strict=True)] for row in rows]
    return render("table.html.j2", headers=list(zip(headers, numeric, strict=True)), rows=cells, caption=caption)


def _is_numeric(column: Sequence[object]) -> bool:
    given = [value for value in column if value != ""]
    return bool(given) and all(_is_number(value) for value in given)


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(value: object) -> bool:
    """Also with a sign, an interval or a unit; a stage's name (`03c-shots`) begins with a digit and is none."""
    if not isinstance(value, str):
        return isinstance(value, int | float)
    return value[:1] in set("0123456789+-−.[<") and any(map(str.isdigit, value)) and not _NAME.match(value)
