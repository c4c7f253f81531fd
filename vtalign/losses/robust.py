"""Robust DPO, rDPO (Chowdhury et al., arXiv 2403.00409): unbiased where a known rate of the labels is flipped."""

from torch import Tensor
from torch.nn.functional import logsigmoid

from vtalign.losses.rewards import PreferenceTerms, implicit_rewards, require_smoothing


def robust_dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float,
    label_smoothing: float,
) -> PreferenceTerms:
    """rDPO loss of n pairs from token-summed log-probs (n,), not reduced; it can be negative.

    With u as in `dpo_loss` and e = label_smoothing, the assumed rate of flipped labels, the loss is
    [-(1 - e) * log sigmoid(u) + e * log sigmoid(-u)] / (1 - 2e): its mean over labels flipped at rate e is the DPO loss of the
    true ones. Raises ValueError as `dpo_loss`.
    """
    require_smoothing(label_smoothing)
    chosen, rejected = implicit_rewards(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta)
    margins = chosen - rejected
    kept, flipped = -(1 - label_smoothing) * logsigmoid(margins), -label_smoothing * logsigmoid(-margins)
    return PreferenceTerms((kept - flipped) / (1 - 2 * label_smoothing), chosen.detach(), rejected.detach())
