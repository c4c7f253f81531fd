"""What one arm gains over another, and `summary.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from vtalign_eval.compare import compare_pooled

Number = dict[str, Any]


def gain(pairs: Sequence[tuple[Path, Path]], out: Path) -> Number:
    """The second runs against the first ones; fractions. Several pairs (one per seed) are pooled, and listed beside it."""
    console = Console(quiet=True)
    comparison = compare_pooled(list(pairs), out, console=console)
    temporal, static = comparison["metrics"]["temporal"], comparison["metrics"]["static"]
    found = {
        "temporal": temporal["difference"],
        "ci95": temporal["ci95"],
        "p_value": temporal["p_value"],
        "static": static["difference"],
        "static_ci95": static["ci95"],
        "static_n": static["n"],
    }
    if len(pairs) > 1:
        found["per_seed"] = [pair["temporal"]["difference"] for pair in comparison["pairs"]]
    return found


def arm_numbers(runs: Sequence[Mapping[str, Any]]) -> Number:
    """The `arms` entry of one arm from its evaluation results, one per seed: means over seeds, questions in all."""
    metrics = [run["vtalign"]["metrics"] for run in runs]
    found: Number = {
        name: sum(m[name]["value"] for m in metrics) / len(metrics) for name in ("temporal", "temporal_strict", "static")
    }
    found["n"] = sum(m["temporal"]["n"] + m["static"]["n"] for m in metrics)
    aspects = {name for run in runs for name in run["vtalign"]["aspects"]} - {"static"}
    found["aspects"] = {
        name: sum(run["vtalign"]["aspects"][name]["accuracy"]["value"] for run in runs) / len(runs) for name in sorted(aspects)
    }
    return found
