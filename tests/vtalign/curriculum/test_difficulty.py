import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.curriculum.difficulty import (
    blended_difficulty,
    difficulty_from_column,
    difficulty_from_divergence,
    difficulty_from_reward_gap,
    difficulty_from_scores,
    difficulty_from_strength,
    difficulty_from_text_length,
    gaps_of_ratings,
    ranks,
)
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


def test_the_worst_response_to_each_prompt_is_the_easy_one() -> None:
    """Curry-DPO's example: ratings 5, 4, 3, 2; the best against the worst comes first. Another prompt has its own places."""
    ids, prompts = ["r2", "r3", "r4", "other", "alike"], ["p", "p", "p", "q", "q"]
    gaps = gaps_of_ratings(ids, [5, 5, 5, 3, 3], [4, 3, 2, 1, 1])
    assert gaps == [1, 2, 3, 2, 2]
    assert difficulty_from_reward_gap(prompts, gaps) == [2.0, 1.0, 0.0, 0.0, 0.0]


def test_a_rejected_response_that_is_rated_above_the_chosen_one_is_named() -> None:
    with pytest.raises(InputError, match=r"pair b: its rejected response is rated 4, above its chosen one with 3\.5"):
        gaps_of_ratings(["a", "b"], [5, 3.5], [5, 4])


def test_long_responses_are_hard_by_length() -> None:
    assert difficulty_from_text_length(["ab", "a\u00e9"], ["cde", ""]) == [5.0, 2.0]


def test_a_column_is_the_difficulty_itself() -> None:
    assert difficulty_from_column(["a", "b"], "mine", [3, -0.5]) == [3.0, -0.5]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_missing_value_names_pair_and_column(value: float | None) -> None:
    with pytest.raises(InputError, match="pair b: column mine: should be a number"):
        difficulty_from_column(["a", "b"], "mine", [0.1, value])


def test_ranks_by_hand() -> None:
    # Of four others, 7 has none below; each 8 has one below and one beside (1 + 1/2) / 4; 9 has three below; 10 has four.
    assert ranks([9, 8, 10, 7, 8]) == [0.75, 0.375, 1.0, 0.0, 0.375]
    assert ranks([2, 2, 2]) == [0.5] * 3 and ranks([4]) == [0.0] and ranks([]) == []


def test_a_blend_by_hand() -> None:
    # score ranks 0, 1/2, 1; divergence ranks 1, 0, 1/2; weights 3 : 1
    blended = blended_difficulty({"score": [-5, 0, 900], "divergence": [-0.1, -0.3, -0.2]}, {"score": 3, "divergence": 1})
    assert blended == [0.25, 0.375, 0.875]


MEASURED = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=20)


@given(MEASURED, st.floats(0.1, 9), st.floats(0.1, 9))
def test_units_and_the_scale_of_the_weights_do_not_matter(rows: list[tuple[float, float]], a: float, b: float) -> None:
    one, other = [row[0] for row in rows], [row[1] for row in rows]
    blended = blended_difficulty({"one": one, "other": other}, {"one": a, "other": b})
    assert blended == blended_difficulty({"one": [4 * x for x in one], "other": other}, {"other": b, "one": a})
    scaled = blended_difficulty({"one": one, "other": other}, {"one": 2 * a, "other": 2 * b})
    assert scaled == pytest.approx(blended) and all(0 <= x <= 1 for x in blended)


@given(MEASURED, st.floats(0.1, 9), st.floats(0.1, 9))
def test_harder_by_both_is_harder_by_the_blend(rows: list[tuple[float, float]], a: float, b: float) -> None:
    blended = blended_difficulty({"x": [row[0] for row in rows], "y": [row[1] for row in rows]}, {"x": a, "y": b})
    for first, first_blend in zip(rows, blended, strict=True):
        for second, second_blend in zip(rows, blended, strict=True):
            if first[0] < second[0] and first[1] < second[1]:
                assert first_blend < second_blend
