import math

import pytest
import torch

from vtalign.losses import vdpo_loss

T = torch.tensor


def test_by_hand() -> None:
    # clean -8 + 10 = 2, perturbed -9 + 8 = -1: u = 0.1 * 3
    terms = vdpo_loss(T([-8.0]), T([-9.0]), T([-10.0]), T([-8.0]), beta=0.1)
    assert terms.losses.item() == pytest.approx(math.log1p(math.exp(-0.3)))
    assert terms.chosen_rewards.item() == pytest.approx(0.2) and terms.rejected_rewards.item() == pytest.approx(-0.1)


def test_the_anchor_by_hand() -> None:
    # and half of -log sigmoid(0.2 - 0.05)
    terms = vdpo_loss(T([-8.0]), T([-9.0]), T([-10.0]), T([-8.0]), beta=0.1, anchor_weight=0.5, anchor_margin=0.05)
    assert terms.losses.item() == pytest.approx(math.log1p(math.exp(-0.3)) + 0.5 * math.log1p(math.exp(-0.15)))


def test_only_the_anchor_sees_both_sides_fall_together() -> None:
    """Displacement: a fall of the two log-probs by the same amount costs nothing without it."""
    logps, fallen = (T([-8.0]), T([-9.0])), (T([-18.0]), T([-19.0]))
    reference = T([-10.0]), T([-8.0])
    assert torch.equal(vdpo_loss(*logps, *reference, beta=0.1).losses, vdpo_loss(*fallen, *reference, beta=0.1).losses)
    held = vdpo_loss(*logps, *reference, beta=0.1, anchor_weight=1.0).losses
    assert vdpo_loss(*fallen, *reference, beta=0.1, anchor_weight=1.0).losses.item() > held.item() + 0.3


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="anchor_weight"):
        vdpo_loss(T([0.0]), T([0.0]), T([0.0]), T([0.0]), beta=0.1, anchor_weight=-1.0)
