"""The demo from first to last: base model, seeds, gains, summary, report."""

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from vtalign.artifacts import claim_run_folder, write_json
from vtalign.assets import tiny_checkpoint
from vtalign.cli.base_model import BaseRecipe, train_base
from vtalign.cli.demo.arms import CHOSEN, DPO, FULL_ARMS, HARD_FIRST, POST, QUICK_ARMS, RANDOM_LABELS, RRPO, SFT_MATCHED, SFT_ONLY
from vtalign.cli.demo.config import DemoConfig
from vtalign.cli.demo.evidence import demo_report
from vtalign.cli.demo.gains import arm_numbers, gain
from vtalign.cli.demo.loop import Seed, run_seed
from vtalign.report.demo_report import write_demo_report

# (arm, against): the first three are the demo's claim, the rest its controls.
QUICK_GAINS = ((DPO, SFT_ONLY), (DPO, SFT_MATCHED), (DPO, CHOSEN))
FULL_GAINS = (*QUICK_GAINS, (RANDOM_LABELS, SFT_ONLY), (POST, SFT_MATCHED), (RRPO, SFT_MATCHED), (DPO, RRPO), (DPO, HARD_FIRST))


def run_demo(config: DemoConfig, out: Path, seed: int, *, full: bool, from_scratch: bool) -> dict[str, Any]:
    """Run everything that is not done yet in `out`; write `summary.json` and `report.html`; return the summary.

    `full` adds arms, controls and more seeds. Raises InputError for a folder of another demo, RunFailed naming a log.
    """
    started = time.monotonic()
    console = Console()
    claim_run_folder(
        out, {"config": config.model_dump(mode="json", exclude={"jobs"}), "seed": seed, "scratch": from_scratch}, "demo"
    )
    model = config.model or tiny_checkpoint()
    if from_scratch:
        console.rule("tiny base model from scratch")
        model = out / "base"
        if not (out / "base" / "trained").is_file():
            train_base(model, BaseRecipe())
            (model / "trained").touch()
    names, asked = (FULL_ARMS, FULL_GAINS) if full else (QUICK_ARMS, QUICK_GAINS)
    seeds = [Seed(out / f"seed-{seed + index}", seed + index) for index in range(config.seeds if full else 1)]
    at_a_time = config.jobs or max(1, len(os.sched_getaffinity(0)))
    for one in seeds:
        arms = run_seed(config, model, one, names, at_a_time, console)
    summary: dict[str, Any] = {
        "seconds": 0.0,
        "seed": seed if not full else [one.number for one in seeds],
        "arms": {name: arm_numbers([one.results(name) for one in seeds]) for name in names},
        "gain": {f"{arm} - {other}": _gain(seeds, arm, other, out) for arm, other in asked},
    }
    summary["seconds"] = round(time.monotonic() - started, 1)
    write_json(out / "summary.json", summary)
    write_demo_report(out / "report.html", demo_report(summary, seeds, arms))
    _print(console, summary, out)
    return summary


def _gain(seeds: Sequence[Seed], arm: str, other: str, out: Path) -> dict[str, Any]:
    pairs = [(one.evaluation(other), one.evaluation(arm)) for one in seeds]
    return gain(pairs, out / "comparisons" / f"{arm}-against-{other}")


def _print(console: Console, summary: dict[str, Any], out: Path) -> None:
    headline = {"temporal": "temporal", "strict": "temporal_strict", "static": "static"}
    _print_arms(
        console,
        "Accuracy on held-out videos, %",
        {name: [row[key] for key in headline.values()] for name, row in summary["arms"].items()},
        headline,
    )
    aspects = next(iter(summary["arms"].values()))["aspects"]
    _print_arms(
        console,
        "The same by temporal aspect, %",
        {name: list(row["aspects"].values()) for name, row in summary["arms"].items()},
        aspects,
    )
    for name, row in summary["gain"].items():
        spans = [_span(row["ci95"]), _span(row["static_ci95"])]
        temporal = f"temporal {100 * row['temporal']:+.1f} points {spans[0]}"
        temporal += "" if row["p_value"] is None else f", p {row['p_value']:.4f}"
        console.print(
            f"{name}: {temporal}; static {100 * row['static']:+.1f} {spans[1]}", markup=False, highlight=False, soft_wrap=True
        )
    console.print(f"{summary['seconds']:.0f} s. The evidence: {out / 'report.html'} and {out / 'summary.json'}", soft_wrap=True)


def _span(bounds: list[float] | None) -> str:
    return "(no interval: too few families)" if bounds is None else f"[{100 * bounds[0]:+.1f}, {100 * bounds[1]:+.1f}]"


def _print_arms(console: Console, title: str, rows: dict[str, list[float]], columns: Iterable[str]) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("arm", no_wrap=True)
    for name in columns:
        table.add_column(name.replace("_change", "").replace("_", " "), justify="right")
    for name, values in rows.items():
        table.add_row(name, *(f"{100 * value:.1f}" for value in values))
    console.print(table)
