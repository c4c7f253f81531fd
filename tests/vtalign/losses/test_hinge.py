import pytest
import torch

from vtalign.losses import hinge_loss

T = torch.tensor


def test_by_hand_with_no_gradient_beyond_a_margin_of_one() -> None:
    # u = 0.5 * (1 - -0.5) = 0.75: 0.25; u = 0.5 * (3 - -1) = 2: nothing left
    chosen = T([-9.0, -7.0], requires_grad=True)
    terms = hinge_loss(chosen, T([-12.5, -13.0]), T([-10.0, -10.0]), T([-12.0, -12.0]), beta=0.5)
    assert terms.losses.tolist() == [0.25, 0.0]
    assert terms.chosen_rewards.tolist() == [0.5, 1.5] and terms.rejected_rewards.tolist() == [-0.25, -0.5]
    terms.losses.sum().backward()
    assert chosen.grad is not None and chosen.grad.tolist() == [-0.5, 0.0]


def test_beta_must_be_positive() -> None:
    with pytest.raises(ValueError, match="beta"):
        hinge_loss(T([0.0]), T([0.0]), T([0.0]), T([0.0]), beta=0.0)
