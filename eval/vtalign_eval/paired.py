"""Two runs of the same questions as paired columns: what a comparison and the gain over a control rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.metrics import Key, columns_of
from vtalign_eval.outcomes import Outcome
from vtalign_eval.statistics import Column, Estimate, cluster_bootstrap

Pair = tuple[Outcome, Outcome]
"""Outcomes of one question in two runs."""

PairedColumns = dict[Key, tuple[Column, Column]]


def paired_columns(pairs: Sequence[Pair], benchmark: Benchmark) -> PairedColumns:
    """The same units of both runs. `yes_rate` has no pairs: its units are the replies that could be read.

    Likelihoods are compared where both runs have them.
    """
    alike = [_with_likelihoods_of_both(*pair) for pair in pairs]
    a = columns_of([pair[0] for pair in alike], benchmark)
    b = columns_of([pair[1] for pair in alike], benchmark)
    return {key: (a[key], b[key]) for key in a if key[-1] != "yes_rate" and len(a[key].values)}


def difference_estimates(columns: Mapping[Key, tuple[Column, Column]], seed: int) -> dict[Key, Estimate]:
    """Second run minus first: the mean of the units' differences, clusters resampled with both runs' units together."""
    return cluster_bootstrap({key: Column(b.values - a.values, a.clusters) for key, (a, b) in columns.items()}, seed)


def _with_likelihoods_of_both(a: Outcome, b: Outcome) -> Pair:
    if (a.likely_correct is None) == (b.likely_correct is None):
        return a, b
    return replace(a, likely_correct=None), replace(b, likely_correct=None)
