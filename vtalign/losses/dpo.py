"""Direct Preference Optimization (Rafailov et al., arXiv 2305.18290) with conservative label smoothing."""

from torch import Tensor
from torch.nn.functional import logsigmoid

from vtalign.losses.rewards import PreferenceTerms, implicit_rewards, require_smoothing


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float,
    label_smoothing: float = 0.0,
) -> PreferenceTerms:
    """Sigmoid DPO loss of n pairs from token-summed log-probs (n,), not reduced.

    With u = beta * [(policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)] and e = label_smoothing, the assumed rate of
    flipped labels, the loss is -(1 - e) * log sigmoid(u) - e * log sigmoid(-u) (cDPO). The reference gets no gradient.

    Raises ValueError for shapes that differ (they would broadcast into wrong pairs), beta <= 0 or e outside [0, 0.5).
    """
    require_smoothing(label_smoothing)
    chosen, rejected = implicit_rewards(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta)
    margins = chosen - rejected
    losses = -(1 - label_smoothing) * logsigmoid(margins) - label_smoothing * logsigmoid(-margins)
    return PreferenceTerms(losses, chosen.detach(), rejected.detach())
