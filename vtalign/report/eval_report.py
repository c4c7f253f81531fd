"""`report.html` of `vtalign eval run` and `eval score`: what was measured, what it needs time for, and what it looks like."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup

from vtalign.artifacts import write_atomic
from vtalign.report.bars import BarGroup, Measure, bar_chart, bar_group
from vtalign.report.conflict_groups import GroupCard, group_card, shortened
from vtalign.report.folds import fold
from vtalign.report.page import Section, Tile, page
from vtalign.report.tables import interval, optional_interval, optional_percent, p_value, percent, points, table, text_table

METRICS = {
    "temporal_strict": "All siblings of a conflict group right (strict)",
    "same_answer_rate": "Same answer to all siblings (less is better)",
    "temporal": "Temporal questions",
    "static": "Static questions",
    "accuracy": "All questions",
    "parse_rate": "Replies that could be read",
    "temporal_lenient": "Temporal, lenient reading",
    "static_lenient": "Static, lenient reading",
    "lenient_parse_rate": "Replies that could be read leniently",
    "temporal_likelihood": "Temporal, by likelihood of the options",
    "static_likelihood": "Static, by likelihood of the options",
    "temporal_judged": "Temporal, with a judge",
    "static_judged": "Static, with a judge",
    "yes_rate": "Yes, of the yes/no questions",
}
COLUMNS = {
    "accuracy": "accuracy %",
    "strict": "all siblings right %",
    "same_answer_rate": "same answer to all %",
    "lenient": "lenient %",
    "likelihood": "by likelihood %",
    "judged": "with judge %",
}
_DRAWN = ("temporal_strict", "temporal", "static")
_FIRST_COLOUR = 1  # grey is for the baseline of other pages

MeasureRows = Mapping[str, Mapping[str, Measure]]


class Gain(TypedDict):
    """The run less a control, on the same questions (fractions). `control` is the control's own score."""

    control: float
    gain: float
    low: float | None
    high: float | None
    p_value: float | None
    minimum_detectable: float | None


class ControlReport(TypedDict):
    """One control: its own scores (`aspects`: accuracy), and what the run gains over it. `uncontrolled`: questions about stills."""

    metrics: Mapping[str, Measure]
    aspects: Mapping[str, Measure]
    gains: Mapping[str, Gain]
    aspect_gains: Mapping[str, Gain]
    uncontrolled: int


class OwnTable(TypedDict):
    """A table of a benchmark's own figures."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]


class Groups(TypedDict):
    """Conflict groups as pictures. `text` says how they were chosen, of how many, and why there are no pictures where there are none."""

    cards: Sequence[GroupCard]
    text: str


class UnreadReply(TypedDict):
    """A reply that no reading makes an option of."""

    video: str
    question: str
    reply: str


class Unread(TypedDict):
    """What is missing from the score. `videos`: per reason, how many questions it cost and which videos. `replies`: the first few."""

    counts: Mapping[str, int]
    videos: Mapping[str, tuple[int, Sequence[str]]]
    replies: Sequence[UnreadReply]


class EvalReport(TypedDict):
    """All that the page of one evaluation shows. `metrics` in the order of METRICS, then any others; `aspects`, `tasks` and `events`
    hold a measure per column (COLUMNS, then any others). `sources`: (what, value) in the order shown."""

    model: str
    benchmark: str
    control: str
    metrics: Mapping[str, Measure]
    aspects: MeasureRows
    tasks: MeasureRows
    events: MeasureRows
    controls: Mapping[str, ControlReport]
    tables: Sequence[OwnTable]
    groups: Groups
    unread: Unread
    sources: Sequence[tuple[str, str]]


def write_eval_report(path: Path, data: EvalReport) -> None:
    """Write the page for `data`, atomically."""
    control = "" if data["control"] == "none" else f", under the control {data['control']}"
    lead = f"{data['model']} on {data['benchmark']}{control}."
    footer = "vtalign eval. This page loads nothing from anywhere."
    sections = [section for section in _sections(data) if section.blocks or section.text]
    write_atomic(path, page("How well does it understand time?", lead, sections, _tiles(data["metrics"]), footer))


def spelt(name: str, names: Mapping[str, str]) -> str:
    """The label of a metric or column; one that has none is its name with spaces."""
    return names.get(name, name.replace("_", " "))


def _sections(data: EvalReport) -> list[Section]:
    controls = data["controls"]
    beside = ", and beside them the same questions under the controls" if controls else ""
    text = f"Whiskers are 95 % bootstrap intervals, resampled by video family. A dashed line is what guessing gives{beside}."
    sections = [
        Section("The score", text, [bar_chart(_metric_groups(data))] if data["metrics"] else []),
        Section("By aspect", blocks=[bar_chart(_aspect_groups(data))] if data["aspects"] else []),
    ]
    if controls:
        text = (
            "The run less each control on the same questions, in percentage points: paired bootstrap by video family, two-sided. What "
            "is lost under a control is the part of the score that needs what the control takes away."
        )
        sections.append(Section("How much of it needs time", text, _gains(controls)))
    sections.append(Section("All numbers", "Value and 95 % interval in per cent.", _numbers(data)))
    sections += [Section(own["title"], blocks=[table(own["headers"], own["rows"])]) for own in data["tables"]]
    sections.append(Section("Conflict groups", data["groups"]["text"], [group_card(card) for card in data["groups"]["cards"]]))
    sections.append(Section("What could not be read", blocks=_unread(data["unread"])))
    sections.append(Section("Where the numbers come from", blocks=[text_table(["", ""], data["sources"])]))
    return sections


def _tiles(metrics: Mapping[str, Measure]) -> list[Tile]:
    labels = {
        "temporal_strict": "strict: all siblings of a conflict group right",
        "same_answer_rate": "same answer to all siblings",
        "temporal": "temporal accuracy",
        "static": "static accuracy",
        "parse_rate": "parse rate",
    }
    tiles = [_tile(label, metrics[name]) for name, label in labels.items() if name in metrics]
    if "temporal_strict" not in metrics:
        tiles.insert(0, Tile(labels["temporal_strict"], "–", "there are no conflict groups among the questions"))
    return tiles


def _tile(label: str, measure: Measure) -> Tile:
    low, high, chance = measure["low"], measure["high"], measure["chance"]
    notes, tone = [f"n = {measure['n']:,}"], "plain"
    if low is not None and high is not None:
        notes.insert(0, optional_interval(low, high))
        if chance is not None:
            tone = "good" if low > chance else "bad" if high < chance else "plain"
    if chance is not None:
        where = {"good": "above chance", "bad": "below chance"}.get(tone, "chance")
        notes.append(f"{where}, {percent(chance)}" if tone != "plain" else f"chance is {percent(chance)}")
    return Tile(label, percent(measure["value"]), "; ".join(notes), tone)


def _metric_groups(data: EvalReport) -> list[BarGroup]:
    drawn = [name for name in _DRAWN if name in data["metrics"]]
    return [_bars(spelt(name, METRICS), data, data["metrics"][name], "metrics", name) for name in drawn]


def _aspect_groups(data: EvalReport) -> list[BarGroup]:
    measured = {aspect: columns["accuracy"] for aspect, columns in data["aspects"].items() if "accuracy" in columns}
    return [_bars(aspect.replace("_", " "), data, measure, "aspects", aspect) for aspect, measure in measured.items()]


def _bars(title: str, data: EvalReport, measure: Measure, kind: str, name: str) -> BarGroup:
    shown: dict[str, Measure | None] = {"the run" if data["controls"] else "accuracy": measure}
    for control, found in data["controls"].items():
        shown[control] = (found["metrics"] if kind == "metrics" else found["aspects"]).get(name)
    return bar_group(title, shown, _FIRST_COLOUR)


def _gains(controls: Mapping[str, ControlReport]) -> list[Markup]:
    headers = ["over", "of", "control %", "gain", "95 % interval", "p", "detectable"]
    metrics = [[name, spelt(of, METRICS), *_gain(g)] for name, found in controls.items() for of, g in found["gains"].items()]
    aspects = [
        [name, of.replace("_", " "), *_gain(g)] for name, found in controls.items() for of, g in found["aspect_gains"].items()
    ]
    blocks = [table(headers, metrics, "detectable: the true gain that would be found with 80 % power")]
    if aspects:
        blocks.append(fold("Gains by aspect", [table(headers, aspects)]))
    stills = [[name, found["uncontrolled"]] for name, found in controls.items() if found["uncontrolled"]]
    if stills:
        blocks.append(table(["control", "questions about videos that it cannot change (stills)"], stills))
    return blocks


def _gain(gain: Gain) -> list[str]:
    low, high, p = gain["low"], gain["high"], gain["p_value"]
    spelt_out = "" if low is None or high is None else interval(low, high)
    return [
        percent(gain["control"]),
        points(gain["gain"]),
        spelt_out,
        "" if p is None else p_value(p),
        optional_percent(gain["minimum_detectable"]),
    ]


def _numbers(data: EvalReport) -> list[Markup]:
    rows = [
        [
            spelt(name, METRICS),
            percent(m["value"]),
            optional_interval(m["low"], m["high"]),
            optional_percent(m["chance"]),
            optional_percent(m.get("minimum_detectable")),
            m["n"],
        ]
        for name, m in data["metrics"].items()
    ]
    caption = "detectable: the difference to another, unrelated run that would be found with 80 % power"
    headers = ["", "value", "95 % interval", "chance", "detectable", "n"]
    blocks = [table(headers, rows, caption)] if rows else []
    for name in ("aspects", "tasks"):
        if data[name]:
            blocks.append(_measure_table(name.removesuffix("s"), data[name]))
    if data["events"]:
        blocks.append(fold("By number of events", [_measure_table("events", data["events"])]))
    return blocks


def _measure_table(what: str, rows: MeasureRows) -> Markup:
    """One line a row of `rows`, one column for every measure that any of them has; n and chance are of the first column."""
    found = {column for measures in rows.values() for column in measures}
    columns = [*(column for column in COLUMNS if column in found), *sorted(found - set(COLUMNS))]
    lines = []
    for name, measures in rows.items():
        first = measures.get(columns[0])
        cells = [_with_interval(measures.get(column)) for column in columns]
        lines.append(
            [name.replace("_", " "), *cells, optional_percent(first["chance"]) if first else "", first["n"] if first else ""]
        )
    return table([what, *(spelt(column, COLUMNS) for column in columns), "chance", "n"], lines)


def _with_interval(measure: Measure | None) -> str:
    if measure is None:
        return ""
    spread = optional_interval(measure["low"], measure["high"])
    return f"{100 * measure['value']:.1f}" + (f" ({spread})" if spread else "")


def _unread(unread: Unread) -> list[Markup]:
    blocks = [table(["", "questions"], list(unread["counts"].items()))] if unread["counts"] else []
    if unread["videos"]:
        rows = [[reason, questions, len(videos), _named(videos)] for reason, (questions, videos) in unread["videos"].items()]
        blocks.append(table(["reason", "questions", "videos", "which"], rows))
    if unread["replies"]:
        rows = [[r["video"], shortened(r["question"]), shortened(r["reply"])] for r in unread["replies"]]
        blocks.append(fold("The first replies that could not be read", [text_table(["video", "question", "reply"], rows)]))
    return blocks


def _named(videos: Sequence[str], most: int = 10) -> str:
    more = f" and {len(videos) - most} more" if len(videos) > most else ""
    return ", ".join(videos[:most]) + more
