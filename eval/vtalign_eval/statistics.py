"""Error bars and tests for means over questions that come in clusters (videos cut from one source are not independent).

Everything is a mean of unit values with a cluster per unit; one set of resamples serves all means, so that they are comparable.
Resamples are drawn over the sorted cluster names: the order of questions does not matter.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

RESAMPLES = 10_000
FEWEST_CLUSTERS = 15
"""With fewer clusters a number has no error bar.

Resampling few clusters understates how far the mean may be off: where there is nothing to find, a test at 5 % found something in
15 to 48 % of simulated data sets of 2 clusters, 11 to 17 % of 5 or 6, 7 to 10 % of 10, 5 to 7 % of 15. The same is long known of
clustered standard errors (Cameron, Gelbach, Miller 2008, https://doi.org/10.1162/rest.90.3.414).
"""
_CHUNK = 500
_POWER_FACTOR = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Column:
    """Values of units (1 right, 0 wrong; or differences) and the cluster of each."""

    values: NDArray[np.float64]
    clusters: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` units in `clusters` clusters. With fewer than FEWEST_CLUSTERS: no interval, standard error or p-value.

    `p_value` is two-sided, of the hypothesis that the mean is 0: twice the smaller share of resampled means on either side of 0,
    each counted with 0 itself and with the observed sample as one more resample. It is below .05 where the interval excludes 0.
    """

    value: float
    ci95: tuple[float, float] | None
    standard_error: float | None
    p_value: float | None
    n: int
    clusters: int

    @property
    def minimum_detectable(self) -> float | None:
        """The true mean that a two-sided test at 5 % finds with 80 % power: (z_0.975 + z_0.8) standard errors.

        Bloom 1995 (https://doi.org/10.1177/0193841X9501900504); Miller 2024, https://arxiv.org/abs/2411.00640, section 5, for paired
        evaluations, whose standard error is that of the differences. None also where all clusters agree: that no resample differs
        does not make the smallest difference detectable.
        """
        return _POWER_FACTOR * self.standard_error if self.standard_error else None


def cluster_bootstrap(columns: Mapping[K, Column], seed: int, resamples: int = RESAMPLES) -> dict[K, Estimate]:
    """Percentile intervals of the means of all columns, clusters resampled with replacement. Empty columns are left out."""
    columns = {key: column for key, column in columns.items() if len(column.values)}
    names = sorted({cluster for column in columns.values() for cluster in column.clusters})
    if not columns:
        return {}
    place = {name: index for index, name in enumerate(names)}
    sums_FM, counts_FM = np.zeros((len(names), len(columns))), np.zeros((len(names), len(columns)))
    for m, column in enumerate(columns.values()):
        where = np.fromiter((place[cluster] for cluster in column.clusters), np.intp, len(column.clusters))
        sums_FM[:, m] = np.bincount(where, column.values, len(names))
        counts_FM[:, m] = np.bincount(where, minlength=len(names))
    draws_BM = _resampled_means(sums_FM, counts_FM, seed, resamples)
    totals, units, present = sums_FM.sum(0), counts_FM.sum(0), (counts_FM > 0).sum(0)
    means = totals / units
    return {key: _estimate(float(means[m]), draws_BM[:, m], int(units[m]), int(present[m])) for m, key in enumerate(columns)}


def mcnemar_p(only_a: int, only_b: int) -> tuple[float, float]:
    """(exact, mid-p) two-sided p-values for questions that only one of two models answers right. Ignores clusters."""
    exact = float(mcnemar(np.array([[0, only_a], [only_b, 0]]), exact=True).pvalue) if only_a + only_b else 1.0
    middle = float(stats.binom.pmf(min(only_a, only_b), only_a + only_b, 0.5)) if only_a + only_b else 0.0
    return min(exact, 1.0), min(exact - middle, 1.0) if only_a != only_b else 1.0


def without_error_bar(tree: Mapping[str, Any]) -> int:
    """How many numbers of a tree of results (dicts with `ci95` at any depth) have too few clusters for an interval."""
    inner = sum(without_error_bar(entry) for entry in tree.values() if isinstance(entry, dict))
    return inner + ("ci95" in tree and tree["ci95"] is None)


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """p-values adjusted for having been several (Holm's step-down)."""
    if not p_values:
        return {}
    adjusted = multipletests(list(p_values.values()), method="holm")[1]
    return {key: float(value) for key, value in zip(p_values, adjusted, strict=True)}


def column(values: Sequence[float] | Sequence[bool], clusters: Sequence[str]) -> Column:
    return Column(np.asarray(values, np.float64), tuple(clusters))


def _resampled_means(
    sums_FM: NDArray[np.float64], counts_FM: NDArray[np.float64], seed: int, resamples: int
) -> NDArray[np.float64]:
    """Means (B, M) over resampled clusters; not a number where a resample holds no unit of a column."""
    rng = np.random.default_rng(seed)
    clusters = len(sums_FM)
    means = []
    for start in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - start)
        drawn = rng.integers(clusters, size=(rows, clusters)) + np.arange(rows)[:, None] * clusters
        weights_BF = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            means.append((weights_BF @ sums_FM) / (weights_BF @ counts_FM))
    return np.concatenate(means)


def _estimate(value: float, draws: NDArray[np.float64], n: int, clusters: int) -> Estimate:
    if clusters < FEWEST_CLUSTERS:
        return Estimate(value, None, None, None, n, clusters)
    draws = draws[~np.isnan(draws)]
    low, high = np.quantile(draws, [0.025, 0.975])
    smaller = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    p_value = min(1.0, 2 * (1 + smaller) / (1 + len(draws)))
    # exactly 0 where all are equal: rounding in their mean must not pass for spread
    standard_error = float(draws.std(ddof=1)) if np.ptp(draws) else 0.0
    return Estimate(value, (float(low), float(high)), standard_error, p_value, n, clusters)
