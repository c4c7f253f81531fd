"""What the reports show of a data build, from its `summary.json`."""

from collections.abc import Mapping
from typing import Any

from vtalign.artifacts import read_jsonl
from vtalign.report.build_report import BadVideo, BuildReport
from vtalign.report.outcomes import Lengths, StageOutcome
from vtalign_data.config import BuildConfig
from vtalign_data.pair_statistics import QUANTILES
from vtalign_data.summary import length_states as summary_length_states


def build_report(summary: Mapping[str, Any], config: BuildConfig) -> BuildReport:
    """The data of a build's `report.html`."""
    bad: list[BadVideo] = []
    for stage in summary["stages"]:
        rows = read_jsonl(config.out / "stages" / stage["name"] / "rejected.jsonl")
        bad += [
            {"video": row["id"], "reason": row["reason"], "detail": row["detail"]} for row in rows if row["outcome"] == "failed"
        ]
    return {
        "videos": summary["stages"][0]["kept"],
        "pairs": summary["pairs"],
        "seconds": summary["seconds"],
        "stages": stage_outcomes(summary),
        "lengths": length_states(summary),
        "by_perturbation": summary["by_perturbation"],
        "quantiles": QUANTILES,
        "distributions": summary["statistics"]["distributions"],
        "selection": summary["selection"],
        "bad_videos": bad,
        "warnings": [f"{text} ({count} videos)" for text, count in summary["warnings"].items()],
        "settings": config.model_dump(mode="json"),
    }


def stage_outcomes(summary: Mapping[str, Any]) -> list[StageOutcome]:
    return [
        {
            "name": stage["name"],
            "unit": f"{stage['unit']}s",
            "kept": stage["kept"],
            "filtered": stage["filtered"],
            "failed": stage["failed"],
        }
        for stage in summary["stages"]
    ]


def length_states(summary: Mapping[str, Any]) -> dict[str, Lengths]:
    return summary_length_states(summary["lengths"])
