"""`report.html` of a data build."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from markupsafe import Markup

from vtalign.artifacts import write_atomic
from vtalign.report.outcomes import Lengths, StageOutcome, length_table, outcome_table
from vtalign.report.page import Section, Tile, page
from vtalign.report.pairs import PairCard, pair_card
from vtalign.report.selection import Selection, selection_section
from vtalign.report.tables import percent, table


class BadVideo(TypedDict):
    """A video that was not used, and why."""

    video: str
    reason: str
    detail: str


class Distribution(TypedDict):
    """How many pairs have a score, and its values at the report's `quantiles` (none where no pair has it)."""

    measured: int
    values: Sequence[float]


class BuildReport(TypedDict):
    """What a build's report shows. `by_perturbation` counts pairs per `name strength`; `distributions` are of scores and lengths at
    `quantiles` (fractions); `settings` is shown as it is."""

    videos: int
    pairs: int
    seconds: float
    stages: Sequence[StageOutcome]
    lengths: Mapping[str, Lengths]
    by_perturbation: Mapping[str, int]
    bad_videos: Sequence[BadVideo]
    warnings: NotRequired[Sequence[str]]
    selection: NotRequired[Selection]
    examples: NotRequired[Sequence[PairCard]]
    quantiles: NotRequired[Sequence[float]]
    distributions: NotRequired[Mapping[str, Distribution]]
    settings: NotRequired[Mapping[str, object]]


def write_build_report(path: Path, summary: BuildReport) -> None:
    """Write the page for `summary`, atomically."""
    tiles = [
        Tile("preference pairs", f"{summary['pairs']:,}"),
        Tile("videos read", f"{summary['videos']:,}", f"{len(summary['bad_videos']):,} could not be used"),
        Tile("time", duration(summary["seconds"])),
    ]
    accuracy = summary["lengths"]["after balancing"]["accuracy"] if "after balancing" in summary["lengths"] else None
    if accuracy is not None:
        tiles.append(
            Tile("lengths-only classifier", percent(accuracy), "50 % tells nothing", "good" if accuracy <= 0.55 else "bad")
        )
    sections = [Section("What was kept and what was not", blocks=[outcome_table(summary["stages"])])]
    if summary.get("selection"):
        sections.append(selection_section(summary["selection"]))
    counts = sorted(summary["by_perturbation"].items(), key=lambda item: -item[1])
    sections.append(Section("Pairs by perturbation", blocks=[table(["perturbation", "pairs"], counts)]))
    if summary["lengths"]:
        text = "A model must not be able to tell chosen from rejected by length alone."
        sections.append(Section("Lengths", text, [length_table(summary["lengths"])]))
    if summary.get("distributions"):
        text = "Of the pairs that are left: smallest, quantiles and largest. Log-probs, divergence and KL in nats."
        sections.append(Section("Scores", text, [_distribution_table(summary["quantiles"], summary["distributions"])]))
    if summary.get("examples"):
        sections.append(Section("Pairs to look at", blocks=[pair_card(pair) for pair in summary["examples"]]))
    if summary["bad_videos"]:
        rows = [[bad["video"], bad["reason"], bad["detail"]] for bad in summary["bad_videos"]]
        sections.append(Section("Videos that could not be used", blocks=[table(["video", "reason", "detail"], rows)]))
    if summary.get("warnings"):
        sections.append(Section("Warnings", blocks=[table(["warning"], [[warning] for warning in summary["warnings"]])]))
    if summary.get("settings"):
        settings = [[name, str(value)] for name, value in summary["settings"].items()]
        sections.append(Section("Settings", blocks=[table(["setting", "value"], settings)]))
    write_atomic(path, page("Preference pairs", "What vtalign data build made of a folder of videos.", sections, tiles))


def _distribution_table(quantiles: Sequence[float], distributions: Mapping[str, Distribution]) -> Markup:
    rows: list[list[object]] = [
        [name, found["measured"], *([f"{value:.4g}" for value in found["values"]] or [""] * len(quantiles))]
        for name, found in distributions.items()
    ]
    return table(["", "measured", *(percent(quantile, 0) for quantile in quantiles)], rows)


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
