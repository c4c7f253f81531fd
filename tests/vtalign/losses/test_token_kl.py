import math

import pytest
import torch
from torch.nn.functional import kl_div

from vtalign.losses import token_kl

NAN = float("nan")


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """More positions than one piece has, NaN where the mask is False."""
    draw = torch.Generator().manual_seed(0)
    reference, policy = (torch.randn(3, 50, 7, generator=draw, dtype=torch.float64) * 2 for _ in range(2))
    mask = torch.arange(50) < torch.tensor([[50], [31], [0]])
    return reference.masked_fill(~mask[..., None], NAN), policy.masked_fill(~mask[..., None], NAN).requires_grad_(), mask


def naive(reference: torch.Tensor, policy: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    per_word = kl_div(policy.log_softmax(-1), reference.log_softmax(-1), reduction="none", log_target=True)
    return torch.where(mask, per_word.sum(-1), 0.0).sum(1)


def test_by_hand() -> None:
    # token 1: reference (3/4, 1/4), policy (1/2, 1/2): 3/4 log 3/2 + 1/4 log 1/2; token 2: reference (1/2, 1/2), policy (3/4, 1/4)
    three_quarters, half = torch.tensor([0.75, 0.25]).log(), torch.zeros(2)
    reference, policy = torch.stack([three_quarters, half])[None], torch.stack([half, three_quarters])[None]
    first = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    second = 0.5 * math.log(2 / 3) + 0.5 * math.log(2)
    assert token_kl(reference, policy, torch.tensor([[True, False]])).item() == pytest.approx(first)
    assert token_kl(reference, policy, torch.tensor([[True, True]])).item() == pytest.approx(first + second)


def test_equal_to_the_definition_and_so_is_its_gradient(logits: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    reference, policy, mask = logits
    weights = torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64)
    found = token_kl(reference, policy, mask)
    (found * weights).sum().backward()
    plain = policy.detach().nan_to_num().requires_grad_()
    expected = naive(reference.nan_to_num(), plain, mask)
    (expected * weights).sum().backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(policy.grad, plain.grad)
    assert found[2] == 0 and (found[:2] > 0).all()


def test_the_gradient_is_that_of_differences() -> None:
    draw = torch.Generator().manual_seed(1)
    reference, policy = (torch.randn(2, 3, 4, generator=draw, dtype=torch.float64) for _ in range(2))
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert torch.autograd.gradcheck(lambda logits: token_kl(reference, logits, mask), policy.requires_grad_())


def test_gradient_reaches_the_policy_at_response_tokens_and_nothing_else(
    logits: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    reference, policy, mask = logits
    reference.requires_grad_()
    token_kl(reference, policy, mask).sum().backward()
    assert reference.grad is None and policy.grad is not None
    assert (policy.grad[mask] != 0).all() and (policy.grad[~mask] == 0).all()


def test_a_policy_that_is_its_reference_has_none() -> None:
    logits = torch.randn(1, 4, 9, generator=torch.Generator().manual_seed(2))
    policy = logits.clone().requires_grad_()
    kl = token_kl(logits, policy, torch.ones(1, 4, dtype=torch.bool))
    kl.sum().backward()
    assert kl.item() == 0 and policy.grad is not None and (policy.grad == 0).all()


def test_half_precision_is_summed_in_float32(logits: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    reference, policy, mask = logits
    halves = reference.bfloat16(), policy.detach().bfloat16().requires_grad_()
    found = token_kl(*halves, mask)
    found.sum().backward()
    assert found.dtype == torch.float32 and halves[1].grad is not None and halves[1].grad.dtype == torch.bfloat16
    torch.testing.assert_close(found, token_kl(halves[0].float(), halves[1].detach().float(), mask))


@pytest.mark.parametrize("shapes", [((2, 3, 4), (2, 3, 5), (2, 3)), ((2, 3, 4), (2, 3, 4), (2, 4)), ((3, 4), (3, 4), (3,))])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    reference, policy, mask = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match="should be"):
        token_kl(reference, policy, mask.bool())
