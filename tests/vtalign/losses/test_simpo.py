import math

import pytest
import torch

from vtalign.losses import simpo_loss

T = torch.tensor


def test_by_hand() -> None:
    # 2 * -8/4 = -4, 2 * -12/2 = -12, u = -4 + 12 - 1 = 7
    chosen, rejected = T([-8.0], requires_grad=True), T([-12.0], requires_grad=True)
    terms = simpo_loss(chosen, rejected, T([4]), T([2]), beta=2.0, gamma=1.0)
    assert terms.losses.item() == pytest.approx(math.log1p(math.exp(-7.0)), rel=1e-5)
    assert terms.chosen_rewards.item() == -4.0 and terms.rejected_rewards.item() == -12.0
    terms.losses.sum().backward()
    pull = 1 / (1 + math.exp(7.0))
    assert chosen.grad is not None and chosen.grad.item() == pytest.approx(-pull * 2 / 4, rel=1e-4)
    assert rejected.grad is not None and rejected.grad.item() == pytest.approx(pull * 2 / 2, rel=1e-4)


@pytest.mark.parametrize(("beta", "gamma", "says"), [(0.0, 0.0, "beta"), (2.0, -0.1, "gamma")])
def test_what_cannot_be_meant_is_refused(beta: float, gamma: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        simpo_loss(T([0.0]), T([0.0]), T([1]), T([1]), beta=beta, gamma=gamma)
