"""What a pipeline run kept and lost, and what lengths give away: parts that both reports show."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from markupsafe import Markup

from vtalign.report.tables import percent, table


class StageOutcome(TypedDict):
    """One stage: `kept` of its `unit` (videos, requests, pairs), and what it lost by reason."""

    name: str
    unit: str
    kept: int
    filtered: Mapping[str, int]
    failed: Mapping[str, int]


class Lengths(TypedDict):
    """Mean gaps (chosen less rejected, characters and tokens), how often chosen is the longer or the shorter one, and the accuracy
    (fraction; .5 is blind) of a classifier that sees lengths only, None where there were too few videos to train one."""

    pairs: int
    mean_gap_chars: float
    mean_gap_tokens: float
    chosen_longer: int
    chosen_shorter: int
    accuracy: float | None


def outcome_table(stages: Sequence[StageOutcome]) -> Markup:
    """Stage by stage: kept, and every reason for a loss on a line of its own."""
    rows: list[list[object]] = []
    for stage in stages:
        rows.append([f"{stage['name']} ({stage['unit']})", "kept", "", stage["kept"]])
        for outcome in ("filtered", "failed"):
            counts: Mapping[str, int] = stage[outcome]
            rows += [["", outcome, reason, count] for reason, count in sorted(counts.items(), key=lambda item: -item[1])]
    return table(["stage", "outcome", "reason", "count"], rows)


def length_table(lengths: Mapping[str, Lengths]) -> Markup:
    """One row per state (before and after balancing)."""
    headers = ["", "pairs", "gap (characters)", "gap (tokens)", "chosen longer", "chosen shorter", "lengths-only classifier"]
    rows: list[list[object]] = [
        [
            state,
            row["pairs"],
            _gap(row["mean_gap_chars"]),
            _gap(row["mean_gap_tokens"]),
            row["chosen_longer"],
            row["chosen_shorter"],
            "" if row["accuracy"] is None else percent(row["accuracy"]),
        ]
        for state, row in lengths.items()
    ]
    return table(headers, rows)


def _gap(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
