"""Hinge loss on DPO's margin (the SLiC loss, Zhao et al., arXiv 2305.10425, with DPO's rewards as in RSO, arXiv 2309.06657)."""

from torch import Tensor

from vtalign.losses.rewards import PreferenceTerms, implicit_rewards


def hinge_loss(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, *, beta: float
) -> PreferenceTerms:
    """max(0, 1 - u) of n pairs from token-summed log-probs (n,), not reduced, with u as in `dpo_loss`.

    A pair with a margin above 1 has no gradient any more. Raises ValueError for shapes that differ and beta <= 0.
    """
    chosen, rejected = implicit_rewards(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta)
    return PreferenceTerms((1 - (chosen - rejected)).relu(), chosen.detach(), rejected.detach())
