"""`report.html` of `vtalign demo`: the evidence on one page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from markupsafe import Markup

from vtalign.artifacts import write_atomic
from vtalign.report.bars import BarGroup, Measure, bar_chart, bar_group
from vtalign.report.build_report import duration
from vtalign.report.lines import Line, Stage, line_chart
from vtalign.report.outcomes import Lengths, StageOutcome, length_table, outcome_table
from vtalign.report.page import Section, Tile, page, render
from vtalign.report.pairs import PairCard, pair_card
from vtalign.report.tables import optional_span, p_value, percent, points, table

METRICS = {
    "temporal": "Temporal questions",
    "temporal_strict": "Temporal, strict: all siblings of a conflict group right",
    "static": "Static questions (must not suffer)",
}
CURVES = {
    "loss": "Loss",
    "rewards/margins": "Reward margin, chosen less rejected",
    "rewards/accuracies": "Reward accuracy",
    "logps/chosen": "Log-probability of the chosen response",
}


class ArmResult(TypedDict):
    """One arm. `metrics` has the keys of METRICS, `aspects` one measure per temporal aspect, `steps` its optimiser steps in all."""

    description: str
    steps: int
    metrics: Mapping[str, Measure]
    aspects: Mapping[str, Measure]


class Gain(TypedDict):
    """One arm less another, on the same questions (fractions). Intervals and p are None where too few families were asked."""

    temporal: float
    ci95: Sequence[float] | None
    p_value: float | None
    static: float
    static_ci95: Sequence[float] | None


class Curves(TypedDict):
    """Training of one arm: logged points (`step` and the names of CURVES) and the curriculum stages (label, first and last step)."""

    points: Sequence[Mapping[str, float]]
    stages: Sequence[tuple[str, float, float]]


class DemoReport(TypedDict):
    """All that the demo's page shows. The first entry of `gain` is the headline; `arms` come in the order they are drawn."""

    seconds: float
    seed: str
    arms: Mapping[str, ArmResult]
    gain: Mapping[str, Gain]
    training: Mapping[str, Curves]
    pairs: Sequence[PairCard]
    lengths: Mapping[str, Lengths]
    build: Sequence[StageOutcome]
    setup: NotRequired[Sequence[tuple[str, str]]]


def write_demo_report(path: Path, data: DemoReport) -> None:
    """Write the page for `data`, atomically."""
    sections = [
        Section(
            "Before and after",
            "Held-out videos, and question templates that training never saw. Whiskers are 95 % bootstrap intervals, resampled by "
            "video family. A dashed line is what guessing gives.",
            [bar_chart(_metric_groups(data["arms"]))],
        ),
        Section(
            "What the gain is over",
            "Differences between two arms on the same questions, in percentage points: paired bootstrap by video family, two-sided.",
            [_gain_table(data["gain"])],
        ),
        Section("Arms", blocks=[_arm_table(data["arms"])]),
        Section("Temporal aspects", blocks=[bar_chart(_aspect_groups(data["arms"]))]),
    ]
    if data["training"]:
        text = "By optimiser step. The bands are the stages of the recipe and of the curriculum; pale lines are single steps."
        sections.append(Section("Training", text, _training(data["training"])))
    if data["pairs"]:
        text = (
            "A frame's colour and number say which segment of the clean video it is from. What only one of the two responses says "
            "is marked."
        )
        sections.append(Section("A few preference pairs", text, [pair_card(pair) for pair in data["pairs"]]))
    if data["lengths"]:
        text = (
            "If lengths gave the rejected responses away, a model could win without looking. A classifier that sees only lengths:"
        )
        sections.append(Section("Lengths", text, [length_table(data["lengths"])]))
    sections.append(Section("What the data build kept and filtered", blocks=[outcome_table(data["build"])]))
    if data.get("setup"):
        sections.append(Section("How this was made", blocks=[table(["", ""], data["setup"])]))
    lead = "A tiny video LLM, aligned on preference pairs from perturbed videos, against controls that did not get them."
    footer = f"vtalign demo, seed {data['seed']}, {duration(data['seconds'])}. This page loads nothing from anywhere."
    write_atomic(path, page("Does it understand time better?", lead, sections, _tiles(data), footer))


def _training(training: Mapping[str, Curves]) -> list[Markup]:
    """Every chart of the arms that learn preferences, arm by arm; the arms with a loss alone share one row."""
    blocks, losses = [], []
    for arm, run in training.items():
        names = [name for name in CURVES if any(name in point for point in run["points"])]
        if names == ["loss"]:
            losses.append(_chart(arm, "loss", run))
        else:
            blocks.append(render("charts.html.j2", title=arm, charts=[_chart(CURVES[name], name, run) for name in names]))
    return [*blocks, render("charts.html.j2", title="Loss of the arms without pairs", charts=losses)] if losses else blocks


def _chart(title: str, name: str, run: Curves) -> Markup:
    logged = [(point["step"], point[name]) for point in run["points"] if name in point]
    return line_chart(title, [Line(name, logged, 1 + list(CURVES).index(name))], [Stage(*stage) for stage in run["stages"]])


def _tiles(data: DemoReport) -> list[Tile]:
    tiles = []
    if data["gain"]:
        name, gain = next(iter(data["gain"].items()))
        low, high = gain["ci95"] or (0.0, 0.0)
        tone = "good" if low > 0 else "bad" if high < 0 else "plain"
        detail = f"points {optional_span(gain['ci95'])}" + _spelt(gain["p_value"])
        tiles.append(Tile(f"temporal accuracy, {_minus(name)}", points(gain["temporal"]), detail, tone))
        tiles.append(_static_tile(gain))
    questions = max(
        (sum(m["n"] for k, m in arm["metrics"].items() if k != "temporal_strict") for arm in data["arms"].values()), default=0
    )
    tiles.append(Tile("held-out questions per arm", f"{questions:,}", f"seed {data['seed']}"))
    return tiles


def _static_tile(gain: Gain) -> Tile:
    label, value, span = "static accuracy, same arms", points(gain["static"]), gain["static_ci95"]
    if span is None:
        return Tile(label, value, f"points {optional_span(span)}, not known to be within 2 points")
    held = span[0] >= -0.02 and span[1] <= 0.02
    detail = f"points {optional_span(span)}, " + ("within 2 points" if held else "not within 2 points")
    return Tile(label, value, detail, "good" if held else "bad")


def _metric_groups(arms: Mapping[str, ArmResult]) -> list[BarGroup]:
    return [
        bar_group(title, {arm: result["metrics"].get(metric) for arm, result in arms.items()})
        for metric, title in METRICS.items()
    ]


def _aspect_groups(arms: Mapping[str, ArmResult]) -> list[BarGroup]:
    aspects = list(dict.fromkeys(aspect for result in arms.values() for aspect in result["aspects"]))
    return [
        bar_group(aspect.replace("_", " "), {arm: result["aspects"].get(aspect) for arm, result in arms.items()})
        for aspect in aspects
    ]


def _gain_table(gains: Mapping[str, Gain]) -> Markup:
    headers = ["comparison", "temporal", "95 % interval", "p", "static", "95 % interval"]
    rows = [
        [
            _minus(name),
            points(gain["temporal"]),
            optional_span(gain["ci95"]),
            "" if gain["p_value"] is None else p_value(gain["p_value"]),
            points(gain["static"]),
            optional_span(gain["static_ci95"]),
        ]
        for name, gain in gains.items()
    ]
    return table(headers, rows)


def _arm_table(arms: Mapping[str, ArmResult]) -> Markup:
    rows = [
        [
            arm,
            result["description"],
            result["steps"],
            *(percent(m["value"]) if m else "" for m in map(result["metrics"].get, METRICS)),
        ]
        for arm, result in arms.items()
    ]
    return table(["arm", "what it is", "steps", "temporal", "temporal, strict", "static"], rows)


def _spelt(value: float | None) -> str:
    return "" if value is None else f", p {p_value(value)}" if value < 0.001 else f", p = {p_value(value)}"


def _minus(name: str) -> str:
    return name.replace(" - ", " − ")
