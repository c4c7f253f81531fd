import pytest
import torch

from vtalign.losses import ipo_loss

T = torch.tensor


def test_by_hand() -> None:
    # per token: chosen (-8 + 10) / 4 = 0.5, rejected (-13 + 12) / 2 = -0.5, h = 1; beta 0.25: (1 - 2)^2
    chosen = T([-8.0], requires_grad=True)
    terms = ipo_loss(chosen, T([-13.0]), T([-10.0]), T([-12.0]), T([4]), T([2]), beta=0.25)
    assert terms.losses.item() == 1.0
    assert terms.chosen_rewards.item() == 0.125 and terms.rejected_rewards.item() == -0.125
    terms.losses.sum().backward()
    # 2 (h - 2) / 4 tokens
    assert chosen.grad is not None and chosen.grad.item() == -0.5


def test_the_least_loss_is_at_a_margin_of_1_over_2_beta() -> None:
    terms = ipo_loss(T([4.0, 6.0]), T([0.0, 0.0]), T([0.0, 0.0]), T([0.0, 0.0]), T([1, 1]), T([1, 1]), beta=0.125)
    assert terms.losses.tolist() == [0.0, 4.0]


def test_longer_responses_of_the_same_tokens_lose_the_same() -> None:
    one = ipo_loss(T([-3.0]), T([-5.0]), T([-4.0]), T([-4.0]), T([3]), T([3]), beta=0.1)
    other = ipo_loss(T([-30.0]), T([-50.0]), T([-40.0]), T([-40.0]), T([30]), T([30]), beta=0.1)
    assert one.losses.item() == pytest.approx(other.losses.item())


def test_what_cannot_be_meant_is_refused() -> None:
    four = (T([0.0]), T([0.0]), T([0.0]), T([0.0]))
    with pytest.raises(ValueError, match="beta"):
        ipo_loss(*four, T([1]), T([1]), beta=0.0)
    with pytest.raises(ValueError, match="tokens"):
        ipo_loss(*four, T([1, 1]), T([1]), beta=0.1)
