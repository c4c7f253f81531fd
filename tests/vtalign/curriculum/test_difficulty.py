import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.curriculum.difficulty import difficulty_from_divergence, difficulty_from_scores, difficulty_from_strength
from vtalign.errors import InputError


def test_big_strength_is_easy() -> None:
    assert difficulty_from_strength(["a", "b", "c", "d"], [16, 8, 4, 2]) == [1 / 16, 1 / 8, 1 / 4, 1 / 2]


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_strength_orders_strictly(a: int, b: int) -> None:
    one, other = difficulty_from_strength(["a", "b"], [a, b])
    assert (one < other) == (a > b)


@pytest.mark.parametrize(("strength", "says"), [(None, "pair b: perturbation.strength: missing"), (0, "pair b: .*at least 1")])
def test_a_missing_strength_names_the_pair(strength: int | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        difficulty_from_strength(["a", "b"], [2, strength])


def test_scores_by_hand() -> None:
    # Pair a: chosen -6 in 3 tokens (-2 each), rejected -8 in 2 (-4 each): preferred by 2 per token, so -4 - -2 = -2, easy.
    # Pair b: chosen -12 in 4 (-3 each), rejected -5 in 5 (-1 each): -1 - -3 = 2, hard.
    assert difficulty_from_scores(["a", "b"], [-6.0, -12.0], [-8.0, -5.0], [3, 4], [2, 5]) == [-2.0, 2.0]


@given(st.floats(-9, -0.1), st.floats(-9, -0.1), st.integers(1, 50), st.integers(1, 50), st.integers(2, 9))
def test_length_alone_does_not_change_difficulty(chosen: float, rejected: float, m: int, n: int, times: int) -> None:
    """A response that goes on for longer at the same log-prob per token is as hard."""
    (short,) = difficulty_from_scores(["a"], [chosen * m], [rejected * n], [m], [n])
    (long,) = difficulty_from_scores(["a"], [chosen * m * times], [rejected * n], [m * times], [n])
    assert long == pytest.approx(short)


@given(st.floats(-90, 0), st.floats(-90, 0), st.integers(1, 50), st.integers(1, 50))
def test_swapping_the_sides_negates(chosen: float, rejected: float, m: int, n: int) -> None:
    (one,) = difficulty_from_scores(["a"], [chosen], [rejected], [m], [n])
    (other,) = difficulty_from_scores(["a"], [rejected], [chosen], [n], [m])
    assert one == pytest.approx(-other)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        (0, None, "pair b: scores.chosen_logps: missing"),
        (1, float("nan"), "pair b: scores.rejected_logps: missing"),
        (0, float("-inf"), "scores.chosen_logps: should be a finite log-prob"),
        (1, 0.5, "scores.rejected_logps: .*at most 0, got 0.5"),
        (2, 0, "scores.chosen_tokens: should be at least 1, got 0"),
        (3, None, "scores.rejected_tokens: missing"),
    ],
)
def test_unusable_scores_name_pair_and_column(column: int, value: float | None, says: str) -> None:
    columns: list[list] = [[-1.0, -1.0], [-2.0, -2.0], [3, 3], [4, 4]]
    columns[column][1] = value
    with pytest.raises(InputError, match=says):
        difficulty_from_scores(["a", "b"], *columns)


def test_what_the_model_notices_is_easy() -> None:
    assert difficulty_from_divergence(["a", "b"], [0.5, 0.125]) == [-0.5, -0.125]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_missing_divergence_names_the_pair(value: float | None) -> None:
    with pytest.raises(InputError, match=r"pair b: scores\.divergence: should be a number"):
        difficulty_from_divergence(["a", "b"], [0.1, value])


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="rejected_logps: 1 values for 2 pairs"):
        difficulty_from_scores(["a", "b"], [-1, -1], [-1], [1, 1], [1, 1])
