"""Tables of plain values."""

from collections.abc import Sequence

from markupsafe import Markup

from vtalign.report.page import render


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> Markup:
    """A table that scrolls sideways where it is too wide. Columns of numbers are aligned right; give numbers formatted or as int."""
    numeric = [bool(rows) and all(_is_number(row[column]) for row in rows) for column in range(len(headers))]
    cells = [[(_shown(value), is_number) for value, is_number in zip(row, numeric, strict=True)] for row in rows]
    return render("table.html.j2", headers=list(zip(headers, numeric, strict=True)), rows=cells, caption=caption)


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


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(value: object) -> bool:
    if isinstance(value, int | float):
        return True
    return isinstance(value, str) and value[:1] in set("0123456789+-−.[<") and any(character.isdigit() for character in value)
