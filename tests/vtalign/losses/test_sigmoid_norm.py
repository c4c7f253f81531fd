import math

import pytest
import torch

from vtalign.losses import dpo_loss, sigmoid_norm_loss

T = torch.tensor


def test_by_hand() -> None:
    # per token: chosen (-8 + 10) / 4 = 0.5, rejected (-13 + 12) / 2 = -0.5: u = 2 * 1
    terms = sigmoid_norm_loss(T([-8.0]), T([-13.0]), T([-10.0]), T([-12.0]), T([4]), T([2]), beta=2.0)
    assert terms.losses.item() == pytest.approx(math.log1p(math.exp(-2.0)))
    assert terms.chosen_rewards.item() == 1.0 and terms.rejected_rewards.item() == -1.0


def test_with_responses_of_one_length_it_is_dpo_with_a_smaller_beta() -> None:
    logps = T([-8.0, -3.0]), T([-13.0, -2.0]), T([-10.0, -4.0]), T([-12.0, -2.5])
    lengths = T([5, 5])
    assert torch.allclose(sigmoid_norm_loss(*logps, lengths, lengths, beta=1.0).losses, dpo_loss(*logps, beta=0.2).losses)
