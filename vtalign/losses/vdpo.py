"""VDPO: one response, preferred on the clean view to an augmented one.

The video form of mDPO's conditional term (Wang et al., arXiv 2406.11839), named as in PaMi-VDPO (arXiv 2504.05810), of which no
code is public. mDPO's anchor is an option.
"""

from torch import Tensor
from torch.nn.functional import logsigmoid

from vtalign.losses.rewards import PreferenceTerms, implicit_rewards


def vdpo_loss(
    policy_clean: Tensor,
    policy_perturbed: Tensor,
    ref_clean: Tensor,
    ref_perturbed: Tensor,
    *,
    beta: float,
    anchor_weight: float = 0.0,
    anchor_margin: float = 0.0,
) -> PreferenceTerms:
    """-log sigmoid(r_clean - r_perturbed) - anchor_weight * log sigmoid(r_clean - anchor_margin) of n pairs, not reduced.

    r = beta * (policy - reference), token-summed log-probs (n,) of the same response, both models on the same view in each of the
    two. Without the anchor the loss may fall by r_perturbed alone, r_clean falling with it; the anchor holds r_clean up (in mDPO
    with weight 1 and margin 0). Returns r_clean as chosen and r_perturbed as rejected rewards. Raises ValueError for shapes that
    differ, beta <= 0 or anchor_weight < 0.
    """
    if anchor_weight < 0:
        raise ValueError(f"anchor_weight should not be negative, got {anchor_weight}")
    clean, perturbed = implicit_rewards(policy_clean, policy_perturbed, ref_clean, ref_perturbed, beta)
    losses = -logsigmoid(clean - perturbed)
    if anchor_weight:
        losses = losses - anchor_weight * logsigmoid(clean - anchor_margin)
    return PreferenceTerms(losses, clean.detach(), perturbed.detach())
