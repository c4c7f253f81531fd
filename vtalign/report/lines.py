"""Line charts as inline SVG: training curves, with the curriculum's stages shaded behind them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vtalign.report.page import render

WIDTH, HEIGHT = 480, 250
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 24, 38
SMOOTH_FROM = 40


@dataclass(frozen=True)
class Line:
    """One series; `points` are (x, y) with rising x. `noisy`: many of its points are better read through their running mean."""

    label: str
    points: Sequence[tuple[float, float]]
    series: int = 1
    noisy: bool = True


@dataclass(frozen=True)
class Stage:
    """A stretch of x, shaded and named."""

    label: str
    start: float
    stop: float


def line_chart(title: str, lines: Sequence[Line], stages: Sequence[Stage] = (), x_label: str = "optimiser step") -> Markup:
    """A chart of `lines`. More than `SMOOTH_FROM` points of a noisy line are drawn pale, under their running mean.

    Raises ValueError without points.
    """
    points = [point for line in lines for point in line.points if math.isfinite(point[1])]
    if not points:
        raise ValueError(f"chart '{title}': no finite point to draw")
    x_low = min([x for x, _ in points] + [stage.start for stage in stages])
    x_high = max([x for x, _ in points] + [stage.stop for stage in stages])
    x_ticks, y_ticks = ticks(x_low, x_high), ticks(min(y for _, y in points), max(y for _, y in points))
    x_scale = _Scale(x_low, x_high, LEFT, WIDTH - RIGHT)
    y_scale = _Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    return render(
        "lines.html.j2",
        title=title,
        x_label=x_label,
        box={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM},
        x_ticks=[(x_scale(value), _number(value)) for value in x_ticks if x_low <= value <= x_high],
        y_ticks=[(y_scale(value), _number(value)) for value in y_ticks],
        stages=[(stage.label, x_scale(stage.start), x_scale(stage.stop)) for stage in stages],
        lines=[_paths(line, x_scale, y_scale) for line in lines],
    )


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values that cover [low, high], about `wanted` of them, steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 12) for index in range(first, last + 1)]


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Centred mean over `window` values, over fewer at the ends."""
    half = window // 2
    parts = [values[max(0, index - half) : index + half + 1] for index in range(len(values))]
    return [sum(part) / len(part) for part in parts]


@dataclass(frozen=True)
class _Scale:
    """Data to drawing units, linear."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low or 1.0
        return round(self.start + (value - self.low) / span * (self.stop - self.start), 2)


def _paths(line: Line, x_scale: _Scale, y_scale: _Scale) -> dict[str, object]:
    finite = [(x, y) for x, y in line.points if math.isfinite(y)]
    raw = _path([(x_scale(x), y_scale(y)) for x, y in finite])
    smooth = ""
    if line.noisy and len(finite) > SMOOTH_FROM:
        means = running_mean([y for _, y in finite], max(5, len(finite) // 15))
        smooth = _path([(x_scale(x), y_scale(y)) for (x, _), y in zip(finite, means, strict=True)])
    return {"label": line.label, "series": line.series, "raw": raw, "smooth": smooth}


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def _number(value: float) -> str:
    """As short as a margin holds: small ones as 1.5e−4."""
    text = f"{value:g}"
    if 0 < abs(value) < 1e-3:
        digits, _, power = f"{value:.2e}".partition("e")
        text = f"{float(digits):g}e{int(power)}"
    return text.replace("-", "−")
