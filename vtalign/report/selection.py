"""What the rules of a build's selection removed: a section of its report."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from markupsafe import Markup

from vtalign.report.page import Section
from vtalign.report.tables import table


class RuleOutcome(TypedDict):
    """One rule: what it asks for (`limit`), and how many of its `unit` there were before it and are left behind it."""

    stage: str
    rule: str
    limit: str
    unit: str
    before: int
    after: int


class ShotsOfKept(TypedDict):
    """Of the videos that are used: shots found, dropped by reason, and clips made of the rest."""

    videos: int
    found: int
    dropped: Mapping[str, int]
    clips: int


class ReversalScores(TypedDict):
    """Quantiles (nats, by name) of the score `by` of all videos; `same_backwards` of them show the same backwards."""

    by: str
    videos: int
    same_backwards: int
    quantiles: Mapping[str, float]


class Selection(TypedDict):
    rules: Sequence[RuleOutcome]
    shots: NotRequired[ShotsOfKept]
    reversal: NotRequired[ReversalScores]


def selection_section(selection: Selection) -> Section:
    """Rule by rule, in the order in which they were applied."""
    blocks: list[Markup] = [
        table(
            ["stage", "rule", "asks for", "of", "before", "after", "removed"],
            [
                [row["stage"], row["rule"], row["limit"], row["unit"], row["before"], row["after"], row["before"] - row["after"]]
                for row in selection["rules"]
            ],
        )
    ]
    if "shots" in selection:
        shots = selection["shots"]
        rows: list[list[object]] = [["shots found", shots["found"]]]
        rows += [[f"dropped: {reason}", count] for reason, count in shots["dropped"].items()]
        rows.append(["clips, neighbours that look alike merged", shots["clips"]])
        blocks.append(table([f"in the {shots['videos']:,} videos that are used", "count"], rows))
    if "reversal" in selection:
        scores = selection["reversal"]
        header = f"{scores['by']} of {scores['videos']:,} videos, forwards against backwards"
        levels: list[list[object]] = [[name, f"{value:.4f}"] for name, value in scores["quantiles"].items()]
        blocks.append(table([header, "nats"], [*levels, ["show the same backwards (score 0)", scores["same_backwards"]]]))
    return Section("What each rule of the selection removed", blocks=blocks)
