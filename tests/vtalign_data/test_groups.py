import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign_data.groups import GROUP_RULES, Run, group_labels, group_rule, runs_of, similarity_matrix
from vtalign_data.video_selection_config import GroupConfig

TEMPLE = GroupConfig()


def matrix(n: int, *alike: tuple[int, int, float]) -> np.ndarray:
    """Cosines of n items, 0 but for the pairs that are given."""
    found = np.eye(n)
    for one, other, value in alike:
        found[one, other] = found[other, one] = value
    return found


def test_only_what_is_more_similar_than_the_threshold_is_merged() -> None:
    assert group_labels(matrix(3, (0, 1, 0.81), (1, 2, 0.8)), 0.8) == [0, 0, 1]
    assert group_labels(matrix(3, (0, 1, 0.8)), 0.8) == [0, 1, 2]
    assert group_labels(matrix(2, (0, 1, 1.0)), 1.0) == [0, 1]


def test_a_merged_group_is_like_the_mean_of_its_parts() -> None:
    """Worked by hand; single linkage would merge all."""
    cosines = matrix(4, (0, 1, 0.95), (0, 2, 0.9), (1, 2, 0.72), (0, 3, 0.9), (1, 3, 0.9), (2, 3, 0.68))
    # 0 and 1 merge; 3 is (0.9 + 0.9) / 2 = 0.9 alike to them and joins; 2 is ((0.9 + 0.72) / 2 + 0.68) / 2 = 0.745 alike to all three
    assert group_labels(cosines, 0.8) == [0, 0, 1, 0]
    cosines = matrix(4, (0, 1, 0.95), (0, 2, 0.9), (1, 2, 0.72), (0, 3, 0.8), (1, 3, 0.8), (2, 3, 0.78))
    # 2 joins at 0.81; 3 is ((0.8 + 0.8) / 2 + 0.78) / 2 = 0.79 alike
    assert group_labels(cosines, 0.8) == [0, 0, 0, 1]


def merged_one_by_one(similarity: np.ndarray, threshold: float) -> list[frozenset[int]]:
    """The rule spelled out: merge the most similar two, the new one is like the mean of the two."""
    groups = [frozenset({index}) for index in range(len(similarity))]
    like = {(a, b): similarity[min(a), min(b)] for a in groups for b in groups if a != b}
    while like:
        (one, other), most = max(like.items(), key=lambda item: item[1])
        if most <= threshold:
            break
        rest = [group for group in groups if group not in (one, other)]
        both = one | other
        for group in rest:
            like[both, group] = like[group, both] = (like[one, group] + like[other, group]) / 2
        groups = [*rest, both]
        like = {pair: value for pair, value in like.items() if set(pair) <= set(groups)}
    return sorted(groups, key=min)


@given(st.integers(2, 12), st.integers(0, 10_000))
def test_the_same_groups_as_merging_one_by_one(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(0.5, 1, (n, n)), 1)
    similarity = upper + upper.T + np.eye(n)
    labels = group_labels(similarity, 0.8)
    groups = [frozenset(index for index in range(n) if labels[index] == label) for label in range(max(labels) + 1)]
    assert groups == merged_one_by_one(similarity, 0.8)


def test_cosines() -> None:
    found = similarity_matrix(np.array([[3, 4], [4, 3], [0, 0]], np.float32))
    assert found == pytest.approx(np.array([[1, 0.96, 0], [0.96, 1, 0], [0, 0, 0]]))
    assert group_labels(found, 0.8) == [0, 0, 1]
    assert group_labels(np.ones((1, 1)), 0.8) == [0] and group_labels(np.ones((0, 0)), 0.8) == []


def test_neighbours_of_one_group_are_one_run() -> None:
    assert runs_of([0, 0, 1, 0, 2, 2]) == [Run(0, 0, 2), Run(1, 2, 3), Run(0, 3, 4), Run(2, 4, 6)]


@pytest.mark.parametrize(
    ("scenes", "reason"),
    [
        ("ABCD", None),
        ("AABBCC", "too_few_groups"),  # three clips
        ("ABCA", "group_share"),  # 2 > 4 // 3
        ("ABACA", "group_share"),  # 3 > 5 // 3
        ("ABCADE", None),  # 2 of 6
        ("ABCADAE", "group_share"),  # 3 > 7 // 3
        ("ABACADEFG", None),  # 3 of 9
        ("ABACADAEFGHI", "group_recurs"),  # 4 of 12 is n // 3, and 4 are too many
        ("AABBCCDD", None),
    ],
)
def test_rules_on_groups_at_temples_values(scenes: str, reason: str | None) -> None:
    broken = group_rule(runs_of(["ABCDEFGHI".index(scene) for scene in scenes]), TEMPLE)
    assert (broken.reason if broken else None) == reason
    assert reason is None or reason in GROUP_RULES


def test_fewer_clips_can_be_allowed() -> None:
    """n // 3 of two clips would be none at all: every scene may be there once."""
    assert group_rule(runs_of([0, 1]), GroupConfig(min_clips=2)) is None
