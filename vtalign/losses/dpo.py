"""Direct Preference Optimization (Rafailov et al., arXiv 2305.18290) with conservative label smoothing."""

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import logsigmoid


class DPOTerms(NamedTuple):
    """All (B,). `losses` carry the gradient; the rewards, beta * (policy - reference), are detached and for logging."""

    losses: Tensor
    chosen_rewards: Tensor
    rejected_rewards: Tensor


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float,
    label_smoothing: float = 0.0,
) -> DPOTerms:
    """Sigmoid DPO loss of B pairs from token-summed log-probs (B,), not reduced.

    With u = beta * [(policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)] and e = label_smoothing, the assumed rate of
    flipped labels, the loss is -(1 - e) * log sigmoid(u) - e * log sigmoid(-u) (cDPO). The reference gets no gradient.

    Raises ValueError for shapes that differ (they would broadcast into wrong pairs), beta <= 0 or e outside [0, 0.5).
    """
    shapes = {tuple(logps.shape) for logps in (policy_chosen, policy_rejected, ref_chosen, ref_rejected)}
    if len(shapes) != 1 or policy_chosen.dim() != 1:
        raise ValueError(f"log-probs should all be of one shape (B,), got {sorted(shapes)}")
    if beta <= 0:
        raise ValueError(f"beta should be positive, got {beta}")
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing should be in [0, 0.5), got {label_smoothing}")
    chosen = beta * (policy_chosen - ref_chosen.detach())
    rejected = beta * (policy_rejected - ref_rejected.detach())
    margins = chosen - rejected
    losses = -(1 - label_smoothing) * logsigmoid(margins) - label_smoothing * logsigmoid(-margins)
    return DPOTerms(losses, chosen.detach(), rejected.detach())
