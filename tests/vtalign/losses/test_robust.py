import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vtalign.losses import dpo_loss, robust_dpo_loss

T = torch.tensor


def test_by_hand() -> None:
    # u = 0.1 * (2 + 1) = 0.3, e = 0.1: (0.9 * log(1 + e^-0.3) - 0.1 * log(1 + e^0.3)) / 0.8
    #   = (0.9 * 0.554355 - 0.1 * 0.854355) / 0.8 = 0.516855
    terms = robust_dpo_loss(T([-8.0]), T([-13.0]), T([-10.0]), T([-12.0]), beta=0.1, label_smoothing=0.1)
    assert terms.losses.item() == pytest.approx(0.516855, abs=1e-6)
    assert terms.chosen_rewards.item() == pytest.approx(0.2) and terms.rejected_rewards.item() == pytest.approx(-0.1)


@given(st.floats(-20, 20), st.floats(0, 0.45), st.floats(0.01, 2))
def test_unbiased_where_labels_are_flipped_at_that_rate(up: float, rate: float, beta: float) -> None:
    one, other, zero = T([up], dtype=torch.float64), T([-1.0], dtype=torch.float64), T([0.0], dtype=torch.float64)
    kept = robust_dpo_loss(one, other, zero, zero, beta=beta, label_smoothing=rate).losses.item()
    flipped = robust_dpo_loss(other, one, zero, zero, beta=beta, label_smoothing=rate).losses.item()
    true = dpo_loss(one, other, zero, zero, beta=beta).losses.item()
    assert (1 - rate) * kept + rate * flipped == pytest.approx(true, abs=1e-8)


def test_it_can_be_negative_and_goes_on_pulling() -> None:
    policy = T([50.0], requires_grad=True)
    loss = robust_dpo_loss(policy, T([0.0]), T([0.0]), T([0.0]), beta=1.0, label_smoothing=0.25).losses.sum()
    loss.backward()
    # far out, log(1 + e^-u) is 0 and log(1 + e^u) is u: -0.25 * 50 / 0.5
    assert loss.item() == pytest.approx(-25.0) and policy.grad is not None and policy.grad.item() == pytest.approx(-0.5)
    assert math.isfinite(loss.item())


def test_a_rate_of_one_half_is_refused() -> None:
    with pytest.raises(ValueError, match="label_smoothing"):
        robust_dpo_loss(T([0.0]), T([0.0]), T([0.0]), T([0.0]), beta=0.1, label_smoothing=0.5)
