"""SimPO (Meng et al., arXiv 2405.14734): log-probs per token as rewards, a target margin, no reference."""

from torch import Tensor
from torch.nn.functional import logsigmoid

from vtalign.losses.logps import per_token
from vtalign.losses.rewards import PreferenceTerms, require_pairs, require_positive


def simpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    chosen_tokens: Tensor,
    rejected_tokens: Tensor,
    *,
    beta: float,
    gamma: float,
) -> PreferenceTerms:
    """-log sigmoid(beta * policy_chosen / chosen_tokens - beta * policy_rejected / rejected_tokens - gamma).

    Token-summed log-probs and token counts, all (n,); not reduced. gamma is the target margin itself, not the ratio gamma / beta
    that the authors' scripts set. Raises ValueError for shapes that differ, beta <= 0 or gamma < 0.
    """
    require_pairs(policy_chosen, policy_rejected)
    require_positive("beta", beta)
    if gamma < 0:
        raise ValueError(f"gamma should not be negative, got {gamma}")
    chosen, rejected = beta * per_token(policy_chosen, chosen_tokens), beta * per_token(policy_rejected, rejected_tokens)
    return PreferenceTerms(-logsigmoid(chosen - rejected - gamma), chosen.detach(), rejected.detach())
