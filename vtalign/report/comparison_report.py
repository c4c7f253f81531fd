"""`report.html` of `vtalign eval compare`: B against A, with the conflict groups and the questions that changed sides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup

from vtalign.artifacts import write_atomic
from vtalign.report.bars import BarGroup, Measure, bar_chart, bar_group
from vtalign.report.conflict_groups import group_card, shortened
from vtalign.report.differences import Difference, difference_chart
from vtalign.report.eval_report import COLUMNS, METRICS, Groups, spelt
from vtalign.report.folds import fold
from vtalign.report.page import Section, Tile, page
from vtalign.report.tables import interval, optional_percent, p_value, percent, points, table, text_table

_TILES = {"temporal_strict": "strict, B less A", "temporal": "temporal accuracy, B less A", "static": "static accuracy, B less A"}


class Paired(TypedDict):
    """One measure of both runs on the same questions (fractions; `difference` is B less A). `mcnemar`: the exact test's p. Of accuracy
    by aspect both p are Holm's. `only_a` and `only_b` count units (questions or groups) of which it holds in one run alone."""

    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    mcnemar: float
    only_a: int
    only_b: int
    minimum_detectable: float | None
    n: int


class Flip(TypedDict):
    """A question that only one of the runs has right, and both replies (None: no reply)."""

    video: str
    question: str
    answer: str
    a: str | None
    b: str | None


class Flips(TypedDict):
    """Flips of one kind in one aspect: how many, and the first of them."""

    count: int
    shown: Sequence[Flip]


class Run(TypedDict):
    """One side. `aspects` and `metrics`: its own scores on the shared questions, with intervals."""

    name: str
    metrics: Mapping[str, Measure]
    aspects: Mapping[str, Measure]


class ComparisonReport(TypedDict):
    """All that the page of a comparison shows. `aspects`: columns (COLUMNS) by aspect. `flips`: by kind ("fixed", "broken"), then by
    aspect. `forced`: why the runs should not have been compared. `sources`: (what, value)."""

    benchmark: str
    control: str
    a: Run
    b: Run
    metrics: Mapping[str, Paired]
    aspects: Mapping[str, Mapping[str, Paired]]
    flips: Mapping[str, Mapping[str, Flips]]
    groups: Groups
    forced: Sequence[str]
    sources: Sequence[tuple[str, str]]


def write_comparison_report(path: Path, data: ComparisonReport) -> None:
    """Write the page for `data`, atomically."""
    control = "" if data["control"] == "none" else f" under the control {data['control']}"
    lead = f"A: {data['a']['name']}. B: {data['b']['name']}. The same questions of {data['benchmark']}{control}."
    footer = "vtalign eval compare. This page loads nothing from anywhere."
    sections = [section for section in _sections(data) if section.blocks or section.text]
    write_atomic(path, page("Is B better than A?", lead, sections, _tiles(data), footer))


def _sections(data: ComparisonReport) -> list[Section]:
    metrics, aspects = data["metrics"], data["aspects"]
    accuracies = {aspect: columns["accuracy"] for aspect, columns in aspects.items() if "accuracy" in columns}
    sections = []
    if data["forced"]:
        text = "These runs are not comparable; the comparison was forced. Read the numbers with this in mind:"
        sections.append(Section("Compared although", text, [text_table(["what differs"], [[why] for why in data["forced"]])]))
    text = (
        "B less A on the same questions: paired bootstrap by video family, two-sided; McNemar's exact test takes questions as "
        "independent. Detectable is the true difference that would be found with 80 % power. Only A and only B count the questions (or "
        "groups) of which a line holds in that run alone: of accuracy, what B broke and what it fixed."
    )
    drawn = [_drawn(aspect.replace("_", " "), paired) for aspect, paired in accuracies.items()]
    blocks = [table(_HEADERS, [[spelt(name, METRICS), *_cells(paired)] for name, paired in metrics.items()])] if metrics else []
    if drawn:
        caption = "accuracy by aspect; both p are corrected for how many aspects there are (Holm)"
        rows = [[aspect.replace("_", " "), *_cells(paired)] for aspect, paired in accuracies.items()]
        blocks += [difference_chart("Accuracy by aspect, B less A, in percentage points", drawn), table(_HEADERS, rows, caption)]
    others = [
        [aspect.replace("_", " "), spelt(column, COLUMNS).removesuffix(" %"), *_cells(paired)]
        for aspect, columns in aspects.items()
        for column, paired in columns.items()
        if column != "accuracy"
    ]
    if others:
        blocks.append(fold("Other columns by aspect", [table(["aspect", "column", *_HEADERS[1:]], others, "p is not corrected")]))
    sections.append(Section("What changed", text, blocks))
    text = "Whiskers are 95 % bootstrap intervals of each run alone; whether they differ is in the table above. Dashed: guessing."
    bars = _both(data)
    sections.append(Section("A and B", text if bars else "", [bar_chart(bars)] if bars else []))
    sections.append(Section("Conflict groups", data["groups"]["text"], [group_card(card) for card in data["groups"]["cards"]]))
    sections.append(Section("The flips", _flip_text(data), _flips(data)))
    sections.append(Section("Where the numbers come from", blocks=[text_table(["", ""], data["sources"])]))
    return sections


_HEADERS = ["", "A", "B", "B − A", "95 % interval", "p", "McNemar p", "only A", "only B", "detectable", "n"]


def _cells(paired: Paired) -> list[object]:
    low, high, p = paired["low"], paired["high"], paired["p_value"]
    return [
        percent(paired["a"]),
        percent(paired["b"]),
        points(paired["difference"]),
        "" if low is None or high is None else interval(low, high),
        "" if p is None else p_value(p),
        p_value(paired["mcnemar"]),
        paired["only_a"],
        paired["only_b"],
        optional_percent(paired["minimum_detectable"]),
        paired["n"],
    ]


def _tiles(data: ComparisonReport) -> list[Tile]:
    tiles = [_tile(label, data["metrics"][name]) for name, label in _TILES.items() if name in data["metrics"]]
    fixed, broken = (_total(data, kind) for kind in ("fixed", "broken"))
    return [*tiles, Tile("questions fixed and broken", f"{fixed:,} / {broken:,}", "only B right / only A right")]


def _tile(label: str, paired: Paired) -> Tile:
    low, high, p = paired["low"], paired["high"], paired["p_value"]
    notes, tone = [], "plain"
    if low is not None and high is not None:
        notes.append(f"points {interval(low, high)}")
        tone = "good" if low > 0 else "bad" if high < 0 else "plain"
    if p is not None:
        notes.append(f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}")
    return Tile(label, points(paired["difference"]), ", ".join([*notes, f"n = {paired['n']:,}"]), tone)


def _drawn(label: str, paired: Paired) -> Difference:
    return Difference(label, paired["difference"], paired["low"], paired["high"])


def _both(data: ComparisonReport) -> list[BarGroup]:
    a, b = data["a"], data["b"]
    metrics = [name for name in _TILES if name in a["metrics"] and name in b["metrics"]]
    groups = [bar_group(spelt(name, METRICS), {"A": a["metrics"][name], "B": b["metrics"][name]}) for name in metrics]
    aspects = [aspect for aspect in a["aspects"] if aspect in b["aspects"]]
    return groups + [bar_group(x.replace("_", " "), {"A": a["aspects"][x], "B": b["aspects"][x]}) for x in aspects]


def _total(data: ComparisonReport, kind: str) -> int:
    return sum(flips["count"] for flips in data["flips"].get(kind, {}).values())


def _flip_text(data: ComparisonReport) -> str:
    return (
        f"{_total(data, 'fixed'):,} questions are right in B only (fixed), {_total(data, 'broken'):,} in A only (broken). Open an aspect "
        "to read them; the counts are of all, and where there are more than are listed it says so. All of them are in flips.jsonl."
    )


def _flips(data: ComparisonReport) -> list[Markup]:
    return [
        fold(_flip_title(kind, aspect, flips), [_flip_table(flips["shown"])])
        for kind, aspects in data["flips"].items()
        for aspect, flips in aspects.items()
    ]


def _flip_title(kind: str, aspect: str, flips: Flips) -> str:
    listed = "" if len(flips["shown"]) == flips["count"] else f", the first {len(flips['shown'])} are listed"
    return f"{kind}, {aspect.replace('_', ' ')}: {flips['count']:,}{listed}"


def _flip_table(flips: Sequence[Flip]) -> Markup:
    rows = [[flip["video"], shortened(flip["question"]), flip["answer"], *(_said(flip["a"]), _said(flip["b"]))] for flip in flips]
    return text_table(["video", "question", "right answer", "A said", "B said"], rows)


def _said(reply: str | None) -> str:
    return "no reply" if reply is None else shortened(reply)
