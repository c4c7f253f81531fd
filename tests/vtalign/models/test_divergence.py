import math

import pytest
import torch

from vtalign.models.divergence import jensen_shannon, kullback_leibler

P, Q = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.25, 0.75]]).log()
APART = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]])


@pytest.fixture
def noise() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(7, 50, generator=draw) * 3, torch.randn(7, 50, generator=draw) * 3


def test_two_answers_by_hand() -> None:
    # m = (1/2, 1/2), and both sides are as far from it: 3/4 log 3/2 + 1/4 log 1/2
    assert jensen_shannon(P, Q).item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-7)
    # 3/4 log 3 + 1/4 log 1/3
    assert kullback_leibler(P, Q).item() == pytest.approx(0.5 * math.log(3), abs=1e-7)
    # m = (5/8, 3/8): half of 3/4 log 6/5 + 1/4 log 2/3 + 1/2 log 4/5 + 1/2 log 4/3
    even = torch.zeros(1, 2)
    halves = 0.75 * math.log(6 / 5) + 0.25 * math.log(2 / 3) + 0.5 * math.log(4 / 5) + 0.5 * math.log(4 / 3)
    assert jensen_shannon(P, even).item() == pytest.approx(halves / 2, abs=1e-7)
    assert kullback_leibler(even, P).item() == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2), abs=1e-7)


def test_the_bounds_are_reached(noise: tuple[torch.Tensor, torch.Tensor]) -> None:
    one, other = noise
    assert (jensen_shannon(one, one) == 0).all() and (kullback_leibler(one, one) == 0).all()
    torch.testing.assert_close(jensen_shannon(one, one + 5), torch.zeros(7), atol=1e-6, rtol=0)  # logits have no level
    assert jensen_shannon(APART[:1], APART[1:]).item() == pytest.approx(math.log(2), abs=1e-6)
    between = jensen_shannon(one, other)
    assert ((between > 0) & (between < math.log(2))).all()
    torch.testing.assert_close(between, jensen_shannon(other, one))


def test_equal_to_the_definition(noise: tuple[torch.Tensor, torch.Tensor]) -> None:
    p, q = (logits.double().softmax(-1) for logits in noise)
    m = (p + q) / 2
    defined = ((p * (p / m).log()).sum(-1) + (q * (q / m).log()).sum(-1)) / 2
    torch.testing.assert_close(jensen_shannon(*noise).double(), defined, atol=1e-6, rtol=0)
    torch.testing.assert_close(kullback_leibler(*noise).double(), (p * (p / q).log()).sum(-1), atol=1e-5, rtol=1e-6)


def test_half_precision_is_summed_in_float32(noise: tuple[torch.Tensor, torch.Tensor]) -> None:
    halves = [logits.bfloat16() for logits in noise]
    found = jensen_shannon(*halves)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, jensen_shannon(*(half.float() for half in halves)))


def test_what_is_no_number_is_not_hidden(noise: tuple[torch.Tensor, torch.Tensor]) -> None:
    one, other = noise
    other[3, 7] = math.nan
    for found in (jensen_shannon(one, other), kullback_leibler(one, other)):
        assert found.isnan().tolist() == [position == 3 for position in range(7)]
