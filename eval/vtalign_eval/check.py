"""`check_eval`: what a run would measure, without a model: what is wrong with benchmark, data or gate is said before it costs anything."""

from vtalign.errors import InputError
from vtalign_eval.benchmarks import Benchmark, find_benchmark
from vtalign_eval.config import EvalConfig
from vtalign_eval.items import Item, take
from vtalign_eval.metrics import columns_of
from vtalign_eval.outcomes import outcome_of
from vtalign_eval.predict import Reply


def check_eval(config: EvalConfig) -> str:
    """One line for people. Raises InputError: unknown benchmark, unusable data, a `fail_on` that is not measured there."""
    benchmark = find_benchmark(config.benchmark)
    if not config.data.is_dir():
        raise InputError(f"{config.data}: no such data folder")
    items = take(tuple(benchmark.load(config.data)), config.limit)
    metrics = metrics_of(items, benchmark)
    if config.fail_on not in metrics:
        raise InputError(
            f"fail_on '{config.fail_on}': {benchmark.name} does not measure it on {config.data} (it measures {', '.join(metrics)})"
        )
    videos = len({item.video for item in items})
    return f"{benchmark.name}: {len(items):,} questions about {videos:,} videos, which measure {', '.join(metrics)}"


def metrics_of(items: tuple[Item, ...], benchmark: Benchmark) -> list[str]:
    """Names of the metrics that have units whatever is replied."""
    silent = Reply(None)
    columns = columns_of([outcome_of(item, silent, benchmark.grade(None, item)) for item in items], benchmark)
    return [key[1] for key, column in columns.items() if key[0] == "metrics" and len(column.values)]
