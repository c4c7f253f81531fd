from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.curriculum.stages import equal_stages, stages_by_value
from vtalign.errors import InputError

DIFFICULTIES = st.lists(st.sampled_from([-1.5, 0.0, 0.0625, 0.5, 3.0]) | st.floats(-10, 10), min_size=1, max_size=40)


@given(DIFFICULTIES, st.data(), st.integers(0, 3))
def test_equal_stages_are_equal_and_ascend(difficulties: list[float], data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(1, len(difficulties)))
    stages = equal_stages(difficulties, count, seed=seed)
    sizes = Counter(stages)
    assert sorted(sizes) == list(range(count)) and max(sizes.values()) - min(sizes.values()) <= 1
    for stage in range(count - 1):
        hardest = max(d for d, s in zip(difficulties, stages, strict=True) if s == stage)
        assert hardest <= min(d for d, s in zip(difficulties, stages, strict=True) if s == stage + 1)
    assert equal_stages(difficulties, count, seed=seed) == stages


def test_ties_across_a_border_are_drawn_by_seed_not_by_place() -> None:
    drawn = {tuple(equal_stages([1.0] * 8, 2, seed=seed)) for seed in range(10)}
    assert len(drawn) > 5


@given(DIFFICULTIES)
def test_by_value_is_one_stage_per_difficulty_in_order(difficulties: list[float]) -> None:
    stages = stages_by_value(difficulties)
    by_stage = dict(zip(stages, difficulties, strict=True))
    assert len(by_stage) == len(set(difficulties)) and all(by_stage[s] == d for s, d in zip(stages, difficulties, strict=True))
    assert all(by_stage[a] < by_stage[b] for a, b in pairwise(sorted(by_stage)))


def test_temple_stages() -> None:
    assert stages_by_value([1 / r for r in (2, 16, 4, 8, 16)]) == [3, 0, 2, 1, 0]


@pytest.mark.parametrize("count", [0, 4])
def test_more_stages_than_pairs_are_refused(count: int) -> None:
    with pytest.raises(InputError, match=rf"number of pairs \(3\), got {count}"):
        equal_stages([1.0, 2.0, 3.0], count, seed=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_a_pair_without_difficulty_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="difficulty of pair 1"):
        stages_by_value([0.5, bad])


def test_no_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="no pairs"):
        equal_stages([], 1, seed=0)
