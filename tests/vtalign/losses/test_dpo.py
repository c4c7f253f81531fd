import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vtalign.losses.dpo import dpo_loss

T = torch.tensor
LOGPS = st.floats(-50, 0).map(lambda value: T([value], dtype=torch.float64))


def test_by_hand() -> None:
    # Pair 1: chosen -10 -> -8 (up 2), rejected -12 -> -13 (down 1): u = 0.1 * (2 + 1) = 0.3
    #   loss = -log(1 / (1 + e^-0.3)) = log(1 + e^-0.3) = 0.554355
    # Pair 2: chosen -5 -> -6 (down 1), rejected -5 -> -4 (up 1):  u = 0.1 * (-1 - 1) = -0.2
    #   loss = log(1 + e^0.2) = 0.798139
    terms = dpo_loss(T([-8.0, -6.0]), T([-13.0, -4.0]), T([-10.0, -5.0]), T([-12.0, -5.0]), beta=0.1)
    assert terms.losses.tolist() == pytest.approx([0.554355, 0.798139], abs=1e-6)
    assert terms.losses.tolist() == pytest.approx([math.log1p(math.exp(-0.3)), math.log1p(math.exp(0.2))], abs=1e-6)
    assert terms.chosen_rewards.tolist() == pytest.approx([0.2, -0.1])
    assert terms.rejected_rewards.tolist() == pytest.approx([-0.1, 0.1])


def test_label_smoothing_by_hand() -> None:
    # u = 0.3, e = 0.1: 0.9 * log(1 + e^-0.3) + 0.1 * log(1 + e^0.3) = 0.9 * 0.554355 + 0.1 * 0.854355 = 0.584355
    terms = dpo_loss(T([-8.0]), T([-13.0]), T([-10.0]), T([-12.0]), beta=0.1, label_smoothing=0.1)
    assert terms.losses.item() == pytest.approx(0.584355, abs=1e-6)


def test_a_policy_that_is_its_reference_has_loss_log_2_and_rewards_0() -> None:
    chosen, rejected = T([-3.0, -40.0]), T([-9.0, -1.0])
    terms = dpo_loss(chosen, rejected, chosen, rejected, beta=0.7, label_smoothing=0.2)
    assert terms.losses.tolist() == pytest.approx([math.log(2)] * 2)
    assert terms.chosen_rewards.tolist() == terms.rejected_rewards.tolist() == [0.0, 0.0]


def test_gradient_by_hand_and_none_for_the_reference() -> None:
    # dL/du = -(1 - e) * sigmoid(-u) + e * sigmoid(u); du/dchosen = beta = -du/drejected
    leaves = [T([value], requires_grad=True) for value in (-8.0, -13.0, -10.0, -12.0)]
    dpo_loss(*leaves, beta=0.1, label_smoothing=0.1).losses.sum().backward()
    sigmoid = 1 / (1 + math.exp(-0.3))
    expected = 0.1 * (-0.9 * (1 - sigmoid) + 0.1 * sigmoid)
    assert leaves[0].grad is not None and leaves[0].grad.item() == pytest.approx(expected, abs=1e-7)
    assert leaves[1].grad is not None and leaves[1].grad.item() == pytest.approx(-expected, abs=1e-7)
    assert leaves[2].grad is None and leaves[3].grad is None


def test_rewards_are_for_logging_and_carry_no_graph() -> None:
    terms = dpo_loss(T([-8.0], requires_grad=True), T([-13.0], requires_grad=True), T([-10.0]), T([-12.0]), beta=0.1)
    assert terms.losses.requires_grad and not terms.chosen_rewards.requires_grad and not terms.rejected_rewards.requires_grad


@given(LOGPS, LOGPS, LOGPS, LOGPS, st.floats(0.01, 2.0))
def test_swapping_the_sides_mirrors_the_margin(
    pc: torch.Tensor, pr: torch.Tensor, rc: torch.Tensor, rr: torch.Tensor, beta: float
) -> None:
    """-log s(u) + log s(-u) = -u: the losses of a pair and of its flip differ by the reward margin."""
    one, other = dpo_loss(pc, pr, rc, rr, beta=beta), dpo_loss(pr, pc, rr, rc, beta=beta)
    margin = (one.chosen_rewards - one.rejected_rewards).item()
    assert (other.losses - one.losses).item() == pytest.approx(margin, abs=1e-9)
    assert one.losses.item() > 0


@given(LOGPS, LOGPS, LOGPS, LOGPS, st.floats(-30, 30))
def test_a_shift_of_policy_and_reference_together_changes_nothing(
    pc: torch.Tensor, pr: torch.Tensor, rc: torch.Tensor, rr: torch.Tensor, shift: float
) -> None:
    one = dpo_loss(pc, pr, rc, rr, beta=0.3).losses.item()
    assert dpo_loss(pc + shift, pr, rc + shift, rr, beta=0.3).losses.item() == pytest.approx(one, abs=1e-9)


@given(st.floats(-2000, 2000))
def test_extreme_margins_stay_finite(margin: float) -> None:
    policy = T([margin], requires_grad=True)
    terms = dpo_loss(policy, T([0.0]), T([0.0]), T([0.0]), beta=1.0, label_smoothing=0.1)
    terms.losses.sum().backward()
    assert torch.isfinite(terms.losses).all() and policy.grad is not None and torch.isfinite(policy.grad).all()


@pytest.mark.parametrize(
    ("shapes", "beta", "smoothing", "says"),
    [
        (((2,), (2,), (2, 1), (2,)), 0.1, 0.0, "one shape"),
        (((2, 1),) * 4, 0.1, 0.0, "one shape"),
        (((2,), (1,), (2,), (2,)), 0.1, 0.0, "one shape"),
        (((2,),) * 4, 0.0, 0.0, "beta"),
        (((2,),) * 4, 0.1, 0.5, "label_smoothing"),
        (((2,),) * 4, 0.1, -0.1, "label_smoothing"),
    ],
)
def test_what_cannot_be_meant_is_refused(shapes: tuple[tuple[int, ...], ...], beta: float, smoothing: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        dpo_loss(*(torch.zeros(shape) for shape in shapes), beta=beta, label_smoothing=smoothing)
