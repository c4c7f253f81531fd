"""Verdicts in a comparison: they are compared where both runs have them, and differ in nothing but the model where the judge is one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.outcomes import Outcome


def judge_of(record: Mapping[str, Any]) -> dict[str, str] | None:
    """Name and prompt hash of a run's judge; None where it had none. `record`: the tree `vtalign` of results.json."""
    judge = record.get("judge")
    return None if judge is None else {"name": judge["name"], "prompt_hash": judge["prompt_hash"]}


def without_verdicts(outcomes: Mapping[str, Outcome], benchmark: Benchmark) -> dict[str, Outcome]:
    """The outcomes of a run as they are without its judge."""
    by_rule = {name: outcome for name, outcome in outcomes.items() if outcome.task not in benchmark.judged_tasks}
    return {name: replace(outcome, judged_correct=None) for name, outcome in by_rule.items()}
