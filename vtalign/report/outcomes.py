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
    """Lengths of chosen and rejected (tokens, means), their mean gap (chosen less rejected), and what a classifier that sees
    only lengths gets right (fraction; .5 is blind)."""

    pairs: int
    chosen: float
    rejected: float
    gap: float
    classifier_accuracy: float


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
    headers = ["", "pairs", "chosen (tokens)", "rejected (tokens)", "gap", "lengths-only classifier"]
    rows: list[list[object]] = [
        [
            state,
            row["pairs"],
            f"{row['chosen']:.1f}",
            f"{row['rejected']:.1f}",
            f"{row['gap']:+.2f}".replace("-", "−"),
            percent(row["classifier_accuracy"]),
        ]
        for state, row in lengths.items()
    ]
    return table(headers, rows)
