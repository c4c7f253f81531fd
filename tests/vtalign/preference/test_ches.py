import numpy as np
import pytest

from vtalign.preference.ches import ches, length_normalised_ches

CHOSEN = np.array([[1.0, 0.0], [1.0, 2.0]])  # S+ = (2, 2), |y+| = 2
REJECTED = np.array([[3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # S- = (3, 2), |y-| = 3


def products(chosen: np.ndarray, rejected: np.ndarray) -> tuple[float, float]:
    total = chosen.sum(0)
    return float(total @ total), float(total @ rejected.sum(0))


def test_by_hand() -> None:
    assert products(CHOSEN, REJECTED) == (8, 10)
    assert ches(8, 10) == 2
    assert length_normalised_ches(8, 10, 2, 3) == pytest.approx(10 / 6 - 8 / 4)


def test_one_response_twice_is_zero() -> None:
    plus, _ = products(CHOSEN, REJECTED)
    assert ches(plus, plus) == 0 and length_normalised_ches(plus, plus, 2, 2) == 0


def test_only_the_normalised_one_is_of_mean_states() -> None:
    """A response said three times over is as similar to another as said once."""
    plain = length_normalised_ches(*products(CHOSEN, REJECTED), 2, 3)
    again = products(CHOSEN, np.tile(REJECTED, (3, 1)))
    assert length_normalised_ches(*again, 2, 9) == pytest.approx(plain)
    assert ches(*again) != pytest.approx(ches(*products(CHOSEN, REJECTED)))
