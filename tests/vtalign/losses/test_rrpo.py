import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vtalign.losses import dpo_loss, rrpo_loss

T = torch.tensor
MATRIX = st.lists(st.lists(st.floats(-20, 0), min_size=4, max_size=4), min_size=2, max_size=2)


def loss(phrases: Any = None, **settings: Any) -> Any:
    chosen, rejected = T([[-1.0, -2.0, -3.0]]), T([[-4.0, -1.0, -1.0]])
    reference = T([[-1.5, -4.0, -3.0]]), T([[-2.0, -2.0, -2.0]])
    inside = phrases or (T([[False, True, False]]), T([[True, True, False]]))
    return rrpo_loss(chosen, rejected, *reference, *inside, settings.pop("chosen_kl", T([0.5])), **settings)


def test_by_hand() -> None:
    # phrases: chosen -2 + 4 = 2, rejected (-4 + 2) + (-1 + 2) = -1, u = 0.1 * 3; plus 0.04 * 0.5
    terms = loss(beta=0.1, alpha=0.04)
    assert terms.losses.item() == pytest.approx(math.log1p(math.exp(-0.3)) + 0.02)
    assert terms.chosen_rewards.item() == pytest.approx(0.2) and terms.rejected_rewards.item() == pytest.approx(-0.1)


def test_a_side_without_phrases_counts_nothing() -> None:
    """What only one response says: an insertion."""
    terms = loss((T([[False, True, False]]), T([[False, False, False]])), beta=0.1, alpha=0.0, chosen_kl=None)
    assert terms.losses.item() == pytest.approx(math.log1p(math.exp(-0.2))) and terms.rejected_rewards.item() == 0.0


@given(MATRIX, MATRIX, MATRIX, MATRIX)
def test_with_everything_inside_a_phrase_and_no_kl_it_is_dpo(pc: Any, pr: Any, rc: Any, rr: Any) -> None:
    sides = [T(side, dtype=torch.float64) for side in (pc, pr, rc, rr)]
    everything = torch.ones(2, 4, dtype=torch.bool)
    found = rrpo_loss(*sides, everything, everything, None, beta=0.3, alpha=0.0)
    assert torch.allclose(found.losses, dpo_loss(*(side.sum(1) for side in sides), beta=0.3).losses)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha"):
        loss(beta=0.1, alpha=-0.1)
    with pytest.raises(ValueError, match="needs the token KL"):
        loss(beta=0.1, alpha=0.1, chosen_kl=None)
    with pytest.raises(ValueError, match="one shape"):
        loss(beta=0.1, alpha=0.1, chosen_kl=T([[0.5]]))
    with pytest.raises(ValueError, match="should both be"):
        loss((T([[True]]), T([[True]])), beta=0.1, alpha=0.1)
