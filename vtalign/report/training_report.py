"""`report.html` of a training recipe: the curves of every stage, where the stages ended, and the recipe itself."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup

from vtalign.artifacts import write_atomic
from vtalign.report.build_report import duration
from vtalign.report.lines import Line, Stage, line_chart
from vtalign.report.page import Section, Tile, page, render
from vtalign.report.tables import table

CHARTS: Mapping[str, Mapping[str, str]] = {
    "Loss": {"loss": "loss"},
    "Reward margin, chosen less rejected": {"rewards/margins": "margin"},
    "Reward accuracy": {"rewards/accuracies": "accuracy"},
    "Rewards": {"rewards/chosen": "chosen", "rewards/rejected": "rejected"},
    "Log-probability of the responses": {"logps/chosen": "chosen", "logps/rejected": "rejected"},
    "NLL per response token": {"sft_loss": "NLL"},
    "Learning rate": {"learning_rate": "learning rate"},
    "Stage of the curriculum": {"curriculum/stage": "stage"},
    "Pairs that share a row": {"mean_group_size": "pairs"},
    "Gradient norm": {"grad_norm": "norm"},
}
"""Charts in this order: title, and the logged names that it draws with their labels. What else is logged follows."""

LEVEL = "curriculum/stage"
MOST_POINTS = 1000
_NO_METRIC = {"stage", "step", "epoch"}
_PLANNED = {"learning_rate", LEVEL}


class StageReport(TypedDict):
    """One stage. `points` are its rows of `history.jsonl`; `gate` is what its gate decided, '' where it has none."""

    name: str
    kind: str
    loss: str
    trains: str
    learning_rate: str
    steps: int
    seen: int
    skipped: int
    seconds: float
    metrics: Mapping[str, float]
    gate: str
    points: Sequence[Mapping[str, float]]


class DataFile(TypedDict):
    """What a stage was trained on."""

    stage: str
    file: str
    hash: str


class TrainingReport(TypedDict):
    """All that the page shows. `ended_by`: why the recipe ended before its last stage, '' where it did not."""

    model: str
    seconds: float
    ended_by: str
    stages: Sequence[StageReport]
    data: Sequence[DataFile]
    recipe: str
    versions: Mapping[str, str]


def write_training_report(path: Path, data: TrainingReport) -> None:
    """Write the page for `data`, atomically."""
    stages = data["stages"]
    curves = [block for stage in stages if (block := _curves(stage)) is not None]
    sections = [Section("Stages", data["ended_by"], [_stage_table(stages)])]
    if any(stage["gate"] for stage in stages):
        rows = [[stage["name"], stage["gate"]] for stage in stages if stage["gate"]]
        sections.append(Section("Gates", blocks=[table(["stage", "decided"], rows)]))
    text = "By optimiser step. Bands are the stages of the curriculum; where points are many, a running mean is drawn over pale ones."
    sections.append(Section("Curves", text, curves))
    text = "Means over the last tenth of each stage's logged points."
    sections.append(Section("Where the stages ended", text, [_metric_table(stages)]))
    files = [[row["stage"], row["file"], row["hash"]] for row in data["data"]]
    sections.append(Section("Data", blocks=[table(["stage", "file", "hash"], files)]))
    sections.append(Section("Recipe", blocks=[render("text.html.j2", text=data["recipe"])]))
    sections.append(Section("Versions", blocks=[table(["library", "version"], list(data["versions"].items()))]))
    tiles = [
        Tile("stages", f"{len(stages)}"),
        Tile("optimiser steps", f"{sum(stage['steps'] for stage in stages):,}"),
        Tile("time", duration(data["seconds"])),
    ]
    lead = f"What vtalign train made of {data['model']}."
    footer = "This page loads nothing from anywhere."
    write_atomic(path, page("Training", lead, sections, tiles, footer))


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most `most` points: means of equally many neighbours each (the last of fewer), at the step of the last one."""
    size = -(-len(points) // most)
    if size <= 1:
        return list(points)
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]


def _curves(stage: StageReport) -> Markup | None:
    """All charts of a stage; None where nothing was logged."""
    points = stage["points"]
    logged = {name for point in points for name in point} - _NO_METRIC
    known = {name for names in CHARTS.values() for name in names}
    charts = {**CHARTS, **{name: {name: name} for name in sorted(logged - known)}}
    bands = _bands(points)
    drawn = []
    for title, names in charts.items():
        lines = [
            Line(
                label, thinned([(point["step"], point[name]) for point in points if name in point]), series, name not in _PLANNED
            )
            for series, (name, label) in enumerate(names.items(), 1)
            if name in logged
        ]
        if lines:
            drawn.append(line_chart(title, lines, bands))
    return render("charts.html.j2", title=f"{stage['name']} ({stage['kind']})", charts=drawn) if drawn else None


def _bands(points: Sequence[Mapping[str, float]]) -> list[Stage]:
    """Stretches of one curriculum stage; none where there is only one."""
    levels = [(round(point[LEVEL]), point["step"]) for point in points if LEVEL in point]
    bands = []
    for level, run in groupby(levels, key=lambda pair: pair[0]):
        steps = [step for _, step in run]
        bands.append(Stage(str(level), steps[0], steps[-1]))
    return bands if 1 < len(bands) <= 12 else []


def _stage_table(stages: Sequence[StageReport]) -> Markup:
    headers = ["stage", "kind", "loss", "trains", "learning rate", "steps", "seen", "skipped", "time"]
    rows = [
        [
            *(stage["name"], stage["kind"], stage["loss"], stage["trains"], stage["learning_rate"]),
            *(stage["steps"], stage["seen"], stage["skipped"], duration(stage["seconds"])),
        ]
        for stage in stages
    ]
    return table(headers, rows)


def _metric_table(stages: Sequence[StageReport]) -> Markup:
    names = sorted({name for stage in stages for name in stage["metrics"]})
    rows = [[name, *(f"{s['metrics'][name]:.4g}" if name in s["metrics"] else "" for s in stages)] for name in names]
    return table(["", *(stage["name"] for stage in stages)], rows)
