"""`check_eval`: what a run would measure, without a model: what is wrong with benchmark, data or gate is said before it costs anything."""

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign_eval.benchmarks import Benchmark, find_benchmark
from vtalign_eval.config import EvalConfig
from vtalign_eval.items import Item, take
from vtalign_eval.metrics import columns_of
from vtalign_eval.outcomes import outcome_of
from vtalign_eval.reply import Reply


class CheckConfig(EvalConfig):
    """What a run would need, without the two things that a check does not."""

    model: str = Field("", description="not read")
    out: Path = Field(Path(), description="not written")


def check_eval(config: EvalConfig) -> str:
    """Lines for people: what is measured, the data hash, what is missing. Raises InputError for what a run would stop at: an
    unknown benchmark, unusable data (with how to lay it out), a `fail_on` that is not measured there."""
    benchmark = find_benchmark(config.benchmark)
    if not config.data.is_dir():
        layout = f"; {benchmark.layout}" if benchmark.layout else ""
        raise InputError(f"{config.data}: no such data folder{layout}")
    items = take(benchmark.items(config.data), config.limit)
    metrics = metrics_of(items, benchmark, with_judge=config.judge is not None, likelihood=config.likelihood)
    if config.fail_on not in metrics:
        raise InputError(
            f"fail_on '{config.fail_on}': {benchmark.name} does not measure it on {config.data} (it measures {', '.join(metrics)})"
        )
    videos = len({item.video for item in items})
    lines = [f"{benchmark.name}: {len(items):,} questions about {videos:,} videos, which measure {', '.join(metrics)}"]
    judged = [item for item in items if item.task in benchmark.judged_tasks]
    if judged:
        lines.append(f"only a judge can grade {len(judged):,} of them ({', '.join(benchmark.judged_tasks)})")
    missing = benchmark.missing(config.data)
    lines += [f"missing: {line}" for line in missing]
    if missing and benchmark.layout:
        lines.append(f"layout: {benchmark.layout}")
    return "\n".join([*lines, f"data hash: {stable_id('data', benchmark.file_hashes(config.data))}"])


def metrics_of(items: tuple[Item, ...], benchmark: Benchmark, *, with_judge: bool, likelihood: bool) -> list[str]:
    """Names of the metrics that have units whatever is replied, and whatever a judge says of it."""
    judged = False if with_judge else None
    silent = Reply(None)
    by_rule = [item for item in items if item.task not in benchmark.judged_tasks]
    outcomes = [outcome_of(item, silent, benchmark.grade(None, item), judged) for item in by_rule]
    if likelihood:
        outcomes = [replace(outcome, likely_correct=False if outcome.options else None) for outcome in outcomes]
    columns = columns_of(outcomes, benchmark)
    return [key[1] for key, column in columns.items() if key[0] == "metrics" and len(column.values)]
