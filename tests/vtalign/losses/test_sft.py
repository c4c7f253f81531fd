import pytest
import torch

from vtalign.losses.sft import response_means, sft_loss, token_mean

LOGPS = torch.tensor([[-1.0, -2.0, -3.0], [-0.5, -9.0, -9.0], [-7.0, -7.0, -7.0]])
MASK = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])


def test_unreduced_by_hand() -> None:
    terms = sft_loss(LOGPS, MASK)
    assert terms.nll.tolist() == [6.0, 0.5, 0.0] and terms.tokens.tolist() == [3, 1, 0]


def test_the_normalisations_differ_and_are_what_they_say() -> None:
    terms = sft_loss(LOGPS, MASK)
    # (1 + 2 + 3 + .5) / 4 tokens
    assert token_mean(terms, 4).item() == pytest.approx(6.5 / 4)
    # (1 + 2 + 3) / 3, .5 / 1, nothing
    assert response_means(terms).tolist() == pytest.approx([2.0, 0.5, 0.0])


def test_parts_of_a_step_add_up_to_the_token_mean_of_the_step() -> None:
    whole = token_mean(sft_loss(LOGPS, MASK), 4)
    parts = [token_mean(sft_loss(LOGPS[i : i + 1], MASK[i : i + 1]), 4) for i in range(3)]
    assert sum(part.item() for part in parts) == pytest.approx(whole.item())


def test_gradient_reaches_response_tokens_only() -> None:
    logps = LOGPS.clone().requires_grad_()
    token_mean(sft_loss(logps, MASK), 4).backward()
    assert torch.equal(logps.grad, torch.where(MASK, -0.25, 0.0))


def test_gradient_of_response_means_weighs_responses_alike() -> None:
    logps = LOGPS.clone().requires_grad_()
    response_means(sft_loss(logps, MASK)).sum().backward()
    assert torch.allclose(logps.grad, torch.tensor([[-1 / 3, -1 / 3, -1 / 3], [-1.0, 0, 0], [0, 0, 0]]))
