"""`--fail-under`: the exit code 3 that a job of continuous integration waits for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vtalign.errors import GateNotMet, InputError
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.config import EvalConfig
from vtalign_eval.items import Item
from vtalign_eval.metrics import columns_of
from vtalign_eval.outcomes import outcome_of
from vtalign_eval.reply import Reply
from vtalign_eval.results import RESULTS

# Less is better, or neither is: a lower bound on them means nothing.
_NO_GATE = ("same_answer_rate", "yes_rate")


def check_gate(fail_under: float | None, fail_on: str, out: Path, results: dict[str, Any]) -> None:
    """Raises GateNotMet where metric `fail_on` is below `fail_under` (a fraction), InputError where it was not measured."""
    if fail_under is None:
        return
    measured = [name for name in results["vtalign"]["metrics"] if name not in _NO_GATE]
    if fail_on not in measured:
        raise InputError(f"fail_on '{fail_on}': no gate in {out} (what can be one: {', '.join(measured)})")
    value = results["vtalign"]["metrics"][fail_on]["value"]
    if value < fail_under:
        name = "temporal accuracy" if fail_on == "temporal" else fail_on.replace("_", " ")
        raise GateNotMet(f"{name} {value:.4f} is below {fail_under} (--fail-under); see {out / RESULTS}")


def require_measured(config: EvalConfig, benchmark: Benchmark, items: Sequence[Item]) -> list[str]:
    """The metrics that a run will have. Raises InputError where `config.fail_on` is none of them: not after hours of answering."""
    metrics = _metrics_of(items, benchmark, with_judge=config.judge is not None, likelihood=config.likelihood)
    if config.fail_on in _NO_GATE:
        raise InputError(f"fail_on '{config.fail_on}': is no gate, because more of it is not better")
    if config.fail_on not in metrics:
        raise InputError(
            f"fail_on '{config.fail_on}': {benchmark.name} does not measure it on {config.data} (it measures {', '.join(metrics)})"
        )
    return metrics


def _metrics_of(items: Sequence[Item], benchmark: Benchmark, *, with_judge: bool, likelihood: bool) -> list[str]:
    """Names of the metrics that have units whatever is replied, and whatever a judge says of it."""
    judged = False if with_judge else None
    silent = Reply(None)
    by_rule = [item for item in items if item.task not in benchmark.judged_tasks]
    outcomes = [outcome_of(item, silent, benchmark.grade(None, item), judged) for item in by_rule]
    if likelihood:
        outcomes = [replace(outcome, likely_correct=False if outcome.options else None) for outcome in outcomes]
    columns = columns_of(outcomes, benchmark)
    return [key[1] for key, column in columns.items() if key[0] == "metrics" and len(column.values)]
