import math
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vtalign.losses import dpo_loss, plackett_luce_loss

T = torch.tensor
REWARDS = st.lists(st.floats(-30, 30), min_size=2, max_size=5)


def of_rewards(chosen: list[float], rejected: list[float], groups: list[int], ranks: list[int] | None = None) -> torch.Tensor:
    """The losses of pairs with these rewards: beta 1 and a reference of 0."""
    c, r = (T(side, dtype=torch.float64) for side in (chosen, rejected))
    zero = torch.zeros_like(c)
    return plackett_luce_loss(c, r, zero, zero, T(groups), None if ranks is None else T(ranks), beta=1.0).losses


def test_softmax_by_hand() -> None:
    # e^0.2 / (e^0.2 + e^-0.1 + e^0) against two; the third pair is alone: log(1 + e^-1)
    losses = of_rewards([0.2, 0.2, 1.0], [-0.1, 0.0, 0.0], [7, 7, 3])
    share = math.exp(0.2) / (math.exp(0.2) + math.exp(-0.1) + 1)
    assert losses.tolist() == pytest.approx([-math.log(share)] * 2 + [math.log1p(math.exp(-1))])


def test_ranking_by_hand() -> None:
    # chosen 2 first, then 1 (rank 1), then 0 (rank 2): e^2 / (e^2 + e + 1) * e / (e + 1)
    losses = of_rewards([2.0, 2.0], [0.0, 1.0], [0, 0], ranks=[2, 1])
    expected = math.exp(2) / (math.exp(2) + math.e + 1) * math.e / (math.e + 1)
    assert losses.tolist() == pytest.approx([-math.log(expected)] * 2)


@given(st.lists(st.tuples(*[st.floats(-60, 0)] * 4), min_size=1, max_size=4), st.floats(0.01, 2))
def test_groups_of_one_pair_are_dpo(pairs: list[tuple[float, ...]], beta: float) -> None:
    logps = T(pairs, dtype=torch.float64).unbind(1)
    one, other = plackett_luce_loss(*logps, torch.arange(len(pairs)), beta=beta), dpo_loss(*logps, beta=beta)
    assert torch.allclose(one.losses, other.losses) and torch.equal(one.chosen_rewards, other.chosen_rewards)


@given(REWARDS, st.floats(-30, 30), st.randoms(use_true_random=False))
def test_rankings_of_several(rejected: list[float], chosen: float, draw: Random) -> None:
    """Equal ranks compare nothing; a full ranking is less likely than its first choice alone; order of pairs is irrelevant."""
    n = len(rejected)
    unranked = of_rewards([chosen] * n, rejected, [0] * n)
    assert torch.allclose(of_rewards([chosen] * n, rejected, [0] * n, ranks=[4] * n), unranked)
    ranks = draw.sample(range(n), n)
    ranked = of_rewards([chosen] * n, rejected, [0] * n, ranks=ranks)
    assert (ranked >= unranked).all()
    order = draw.sample(range(n), n)
    again = of_rewards([chosen] * n, [rejected[k] for k in order], [0] * n, ranks=[ranks[k] for k in order])
    assert torch.allclose(again, ranked)


def test_rankings_of_two_are_all_there_is() -> None:
    chosen, rejected = [0.3, 0.3], [1.2, -0.4]
    both = [of_rewards(chosen, rejected, [0, 0], ranks=ranks)[0].item() for ranks in ([1, 2], [2, 1])]
    choice = of_rewards(chosen, rejected, [0, 0])[0].item()
    assert sum(math.exp(-loss) for loss in both) == pytest.approx(math.exp(-choice))


def test_extreme_rewards_stay_finite() -> None:
    chosen = T([2000.0, 2000.0], requires_grad=True)
    rejected = T([-2000.0, 3000.0], requires_grad=True)
    zero = torch.zeros(2)
    losses = plackett_luce_loss(chosen, rejected, zero, zero, T([0, 0]), T([1, 2]), beta=1.0).losses
    losses.sum().backward()
    assert torch.isfinite(losses).all() and chosen.grad is not None and rejected.grad is not None
    assert torch.isfinite(chosen.grad).all() and torch.isfinite(rejected.grad).all()


def test_groups_and_ranks_of_another_shape_are_refused() -> None:
    zero = torch.zeros(2)
    for groups, ranks in ((T([0]), None), (T([0, 0]), T([1]))):
        with pytest.raises(ValueError, match="one shape"):
            plackett_luce_loss(zero, zero, zero, zero, groups, ranks, beta=0.1)
