import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vtalign_eval.statistics import FEWEST_CLUSTERS, Column, cluster_bootstrap, column, holm, mcnemar_p, without_error_bar

CLUSTERED = st.lists(st.tuples(st.integers(-1, 1), st.sampled_from("abcdefghijklmnopqrst")), min_size=2, max_size=80)


def clustered(seed: int, families: int = 40) -> Column:
    """Right or wrong, families of one to five questions with a tendency of their own."""
    rng = np.random.default_rng(seed)
    values, clusters = [], []
    for family in range(families):
        size = int(rng.integers(1, 6))
        values += list((rng.random(size) < rng.beta(2, 2)).astype(float))
        clusters += [f"f{family:03d}"] * size
    return column(values, clusters)


def family_sums(data: Column) -> tuple[np.ndarray, np.ndarray]:
    names = sorted(set(data.clusters))
    of = np.array([names.index(cluster) for cluster in data.clusters])
    return np.bincount(of, data.values), np.bincount(of).astype(float)


def test_the_value_is_the_plain_mean_and_counts_are_right() -> None:
    estimate = cluster_bootstrap({"x": column([1, 0, 1, 1], ["a", "a", "b", "c"])}, seed=0)["x"]
    assert (estimate.value, estimate.n, estimate.clusters) == (0.75, 4, 3)


def test_resampled_means_of_clusters_of_one_are_binomial() -> None:
    data = column([1.0] * 6 + [0.0] * 10, [f"f{i}" for i in range(16)])
    estimate = cluster_bootstrap({"x": data}, seed=1, resamples=60_000)["x"]
    exact = stats.binom(16, 6 / 16)
    assert estimate.ci95 == pytest.approx((exact.ppf(0.025) / 16, exact.ppf(0.975) / 16), abs=1e-9)
    assert estimate.standard_error == pytest.approx(exact.std() / 16, rel=0.02)


def test_the_interval_agrees_with_scipy_on_resampled_families() -> None:
    data = clustered(3)
    sums, counts = family_sums(data)

    def mean_over(index: np.ndarray, axis: int = -1) -> np.ndarray:
        return sums[index].sum(axis) / counts[index].sum(axis)

    theirs = stats.bootstrap(
        (np.arange(len(sums)),), mean_over, vectorized=True, method="percentile", n_resamples=10_000, batch=1000, rng=7
    )
    ours = cluster_bootstrap({"x": data}, seed=0)["x"]
    assert ours.ci95 == pytest.approx(tuple(theirs.confidence_interval), abs=0.006)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.03)


def test_families_that_agree_within_themselves_have_wider_intervals_than_single_questions() -> None:
    values = [1.0] * 50 + [0.0] * 50
    apart = cluster_bootstrap({"x": column(values, [f"f{i}" for i in range(100)])}, seed=0)["x"]
    together = cluster_bootstrap({"x": column(values, [f"f{i // 5:02d}" for i in range(100)])}, seed=0)["x"]
    assert together.standard_error == pytest.approx(5**0.5 * apart.standard_error, rel=0.1)
    assert apart.standard_error == pytest.approx((0.25 / 100) ** 0.5, rel=0.05)


@given(CLUSTERED, st.randoms(use_true_random=False))
def test_order_of_questions_changes_nothing(data: list[tuple[int, str]], rng) -> None:
    shuffled = list(data)
    rng.shuffle(shuffled)
    first, second = (
        cluster_bootstrap({"x": column([float(v) for v, _ in rows], [c for _, c in rows])}, seed=0, resamples=200)["x"]
        for rows in (data, shuffled)
    )
    assert first == second


def test_columns_do_not_influence_each_other_where_families_are_the_same() -> None:
    one, two = clustered(1), clustered(2)
    assert cluster_bootstrap({"x": one}, seed=0)["x"] == cluster_bootstrap({"x": one, "y": two}, seed=0)["x"]


def test_no_difference_at_all_has_p_one_and_an_interval_of_zero() -> None:
    estimate = cluster_bootstrap({"x": column([0.0] * 30, [f"f{i % 15}" for i in range(30)])}, seed=0)["x"]
    assert (estimate.value, estimate.ci95, estimate.p_value) == (0.0, (0.0, 0.0), 1.0)
    assert estimate.minimum_detectable is None, "not: any difference at all would be found"


def test_the_smallest_p_value_is_two_resamples_of_all() -> None:
    estimate = cluster_bootstrap({"x": column([1.0] * 30, [f"f{i}" for i in range(30)])}, seed=0, resamples=999)["x"]
    assert estimate.p_value == pytest.approx(2 / 1000)


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    """Under the null a test at 5 % rejects about one time in twenty."""
    rng = np.random.default_rng(0)
    families = [f"f{i // 3}" for i in range(150)]
    columns = {}
    for trial in range(400):
        per_family = rng.normal(size=50)
        columns[trial] = column(list(np.repeat(per_family, 3) + rng.normal(size=150)), families)
    rejected = np.mean([e.p_value < 0.05 for e in cluster_bootstrap(columns, seed=0, resamples=2000).values()])
    assert 0.025 <= rejected <= 0.085


def test_p_is_below_five_percent_where_the_interval_excludes_zero() -> None:
    columns = {s: Column(clustered(s).values - 0.35, clustered(s).clusters) for s in range(30)}
    for estimate in cluster_bootstrap(columns, seed=0).values():
        low, high = estimate.ci95
        if min(abs(low), abs(high)) > 0.003:
            assert (estimate.p_value < 0.05) == (low > 0 or high < 0)


def test_minimum_detectable_is_found_with_80_percent_power() -> None:
    estimate = cluster_bootstrap({"x": clustered(5)}, seed=0)["x"]
    assert estimate.minimum_detectable == pytest.approx(2.8016 * estimate.standard_error, rel=1e-3)
    power = stats.norm.sf(1.959964 - estimate.minimum_detectable / estimate.standard_error)
    assert power == pytest.approx(0.8, abs=1e-4)


def paired_differences(rng: np.random.Generator, gain: float, families: int = 80, size: int = 4) -> Column:
    """B - A of two models on the same questions; how hard a family is and what B gains on it differ between families."""
    hardness = rng.beta(3, 3, families)[:, None]
    gains = gain + rng.uniform(-0.1, 0.1, families)[:, None]
    a = rng.random((families, size)) < 0.2 + 0.5 * hardness
    b = rng.random((families, size)) < 0.2 + 0.5 * hardness + gains
    return column(list((b.astype(float) - a).ravel()), [f"f{k // size:03d}" for k in range(families * size)])


def test_a_paired_difference_of_the_minimum_detectable_size_is_found_four_times_in_five() -> None:
    """Simulated: what one comparison calls detectable, comparisons of that size do find."""
    rng = np.random.default_rng(11)
    pilots = {trial: paired_differences(rng, 0.1) for trial in range(50)}
    detectable = np.mean([e.minimum_detectable for e in cluster_bootstrap(pilots, seed=0, resamples=1000).values()])
    assert 0.08 < detectable < 0.16
    trials = {trial: paired_differences(rng, float(detectable)) for trial in range(400)}
    found = np.mean([e.p_value < 0.05 for e in cluster_bootstrap(trials, seed=0, resamples=1000).values()])
    assert found == pytest.approx(0.8, abs=0.06)


def test_one_family_has_a_value_but_no_error_bar() -> None:
    estimate = cluster_bootstrap({"x": column([1, 0], ["a", "a"])}, seed=0)["x"]
    assert (estimate.value, estimate.ci95, estimate.standard_error, estimate.p_value) == (0.5, None, None, None)


@pytest.mark.parametrize("families", [2, 5, FEWEST_CLUSTERS - 1])
def test_few_families_have_a_value_but_no_error_bar(families: int) -> None:
    names = [f"f{i % families}" for i in range(4 * families)]
    estimate = cluster_bootstrap({"x": column([1.0] * len(names), names)}, seed=0)["x"]
    assert (estimate.value, estimate.clusters) == (1.0, families)
    assert (estimate.ci95, estimate.standard_error, estimate.p_value, estimate.minimum_detectable) == (None,) * 4


def test_a_column_that_few_families_have_gets_no_interval_from_the_others() -> None:
    narrow = column([1, 0, 1], ["f000", "f001", "f002"])
    found = cluster_bootstrap({"wide": clustered(1), "narrow": narrow}, seed=0)
    assert found["narrow"].ci95 is None and found["wide"].ci95 is not None


def test_the_fewest_families_that_get_a_p_value_seldom_find_what_is_not_there() -> None:
    """Whole families gain or lose together, the worst case: under the null 5 to 10 % at the limit, 16 % with 5 families."""
    rng = np.random.default_rng(3)
    families = [f"f{i // 4:02d}" for i in range(4 * FEWEST_CLUSTERS)]
    columns = {trial: column(list(np.repeat(rng.normal(size=FEWEST_CLUSTERS), 4)), families) for trial in range(500)}
    rejected = np.mean([e.p_value < 0.05 for e in cluster_bootstrap(columns, seed=0, resamples=1000).values()])
    assert 0.03 <= rejected <= 0.11


def test_numbers_without_an_error_bar_are_counted_at_any_depth() -> None:
    few, many = {"value": 1.0, "ci95": None}, {"value": 1.0, "ci95": [0.9, 1.0]}
    assert without_error_bar({"temporal": few, "order": {"accuracy": few, "strict": many}, "n": 3}) == 2


def test_empty_columns_are_left_out() -> None:
    assert cluster_bootstrap({"x": column([], [])}, seed=0) == {}
    assert list(cluster_bootstrap({"x": column([], []), "y": column([1, 0], ["a", "b"])}, seed=0)) == ["y"]


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (0, 6), (5, 5), (3, 12), (40, 22), (120, 180)])
def test_mcnemar_is_the_two_sided_binomial_test(only_a: int, only_b: int) -> None:
    exact, middle = mcnemar_p(only_a, only_b)
    total = only_a + only_b
    assert exact == pytest.approx(stats.binomtest(only_a, total, 0.5).pvalue if total else 1.0)
    assert mcnemar_p(only_b, only_a) == (exact, middle)
    if only_a == only_b:
        assert middle == 1.0
    else:
        below = sum(stats.binom.pmf(k, total, 0.5) for k in range(min(only_a, only_b)))
        assert middle == pytest.approx(2 * (below + stats.binom.pmf(min(only_a, only_b), total, 0.5) / 2))


def test_mcnemar_by_hand() -> None:
    assert mcnemar_p(1, 4) == pytest.approx((2 * 6 / 32, 2 * (1 / 32 + 0.5 * 5 / 32)))


def test_holm_by_hand() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({}) == {}
