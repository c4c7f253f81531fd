"""Several rejected responses at once: the Plackett-Luce form of DPO (Rafailov et al., arXiv 2305.18290, appendix A.3).

Where the rejected ones have no order among each other it is the softmax form (S-DPO, Chen et al., arXiv 2406.09215).
"""

import torch
from torch import Tensor

from vtalign.losses.rewards import PreferenceTerms, implicit_rewards, require_pairs


def plackett_luce_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    groups: Tensor,
    ranks: Tensor | None = None,
    *,
    beta: float,
) -> PreferenceTerms:
    """Listwise loss from token-summed log-probs (n,) of n pairs, not reduced.

    groups: long (n,), pairs of one number share prompt and chosen response. ranks: (n,), the place of each rejected response in its
    group, smaller is better; equal ranks are not compared, and None ranks nothing. With rewards r = beta * (policy - reference)
    the loss of a group is the sum, over the chosen response and every rejected one, of log(1 + sum of exp(r_worse - r)) over the
    responses of the group that are worse. Every pair carries the loss of its group, so that the mean over pairs weighs a group by
    its pairs, as pairwise losses do; a group of one pair is `dpo_loss`. Raises ValueError for shapes that differ and beta <= 0.
    """
    chosen, rejected = implicit_rewards(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta)
    require_pairs(chosen, groups)
    together = groups[:, None] == groups[None, :]
    losses = _beaten_by(chosen, rejected, together)
    if ranks is not None:
        require_pairs(chosen, ranks)
        worse = together & (ranks[:, None] < ranks[None, :])
        losses = losses + together.to(losses.dtype) @ _beaten_by(rejected, rejected, worse)
    return PreferenceTerms(losses, chosen.detach(), rejected.detach())


def _beaten_by(rewards: Tensor, others: Tensor, against: Tensor) -> Tensor:
    """-log of the softmax share of each of `rewards` (n,) among itself and those of `others` (n,) that `against` (n, n) names."""
    differences = (others[None, :] - rewards[:, None]).masked_fill(~against, float("-inf"))
    return torch.cat([torch.zeros_like(differences[:, :1]), differences], dim=1).logsumexp(dim=1)
