import pytest
import torch

from vtalign.losses.logps import sum_logps


def test_sums_by_hand_and_never_reads_padding() -> None:
    logps = torch.tensor([[-1.0, -2.0, float("nan")], [-4.0, -0.5, -0.25]], requires_grad=True)
    mask = torch.tensor([[True, True, False], [False, True, True]])
    total = sum_logps(logps, mask)
    assert total.tolist() == [-3.0, -0.75]
    total.sum().backward()
    assert logps.grad is not None and logps.grad.tolist() == [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]


def test_a_minus_infinity_in_padding_does_no_harm() -> None:
    assert sum_logps(torch.tensor([[-1.0, float("-inf")]]), torch.tensor([[True, False]])).tolist() == [-1.0]


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (3,)])
def test_shapes_that_do_not_match_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="should both be"):
        sum_logps(torch.zeros(2, 3), torch.ones(shape, dtype=torch.bool))
