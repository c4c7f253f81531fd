"""Identity Preference Optimization (Azar et al., arXiv 2310.12036), on log-probs per token."""

from torch import Tensor

from vtalign.losses.logps import per_token
from vtalign.losses.rewards import PreferenceTerms, implicit_rewards, require_positive


def ipo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    chosen_tokens: Tensor,
    rejected_tokens: Tensor,
    *,
    beta: float,
) -> PreferenceTerms:
    """IPO loss of n pairs from token-summed log-probs and token counts, all (n,), not reduced.

    With h = (policy_chosen - ref_chosen) / chosen_tokens - (policy_rejected - ref_rejected) / rejected_tokens it is
    (h - 1 / (2 beta))^2, equation 17 of the paper with beta for its tau. Means instead of sums are not in the paper but in its
    authors' experiments, as TRL found out by asking them; a squared distance of sums would grow with the responses.
    Rewards are beta times the two parts of h. Raises ValueError for shapes that differ and beta <= 0.
    """
    require_positive("beta", beta)
    chosen, rejected = implicit_rewards(
        per_token(policy_chosen, chosen_tokens),
        per_token(policy_rejected, rejected_tokens),
        per_token(ref_chosen, chosen_tokens),
        per_token(ref_rejected, rejected_tokens),
        beta=1.0,
    )
    losses = (chosen - rejected - 1 / (2 * beta)) ** 2
    return PreferenceTerms(losses, beta * chosen.detach(), beta * rejected.detach())
