"""Length-normalised DPO (Tülu 3, Lambert et al., arXiv 2411.15124, section 5; after SimPO's normalisation)."""

from torch import Tensor

from vtalign.losses.dpo import dpo_loss
from vtalign.losses.logps import per_token
from vtalign.losses.rewards import PreferenceTerms


def sigmoid_norm_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    chosen_tokens: Tensor,
    rejected_tokens: Tensor,
    *,
    beta: float,
) -> PreferenceTerms:
    """-log sigmoid(beta * [(policy_chosen - ref_chosen) / chosen_tokens - (policy_rejected - ref_rejected) / rejected_tokens]).

    Token-summed log-probs and token counts, all (n,); not reduced. Rewards are per token, so a beta that does the work of 0.1 in
    `dpo_loss` is larger by about the length of a response (Tülu 3 uses 5). Raises ValueError as `dpo_loss`.
    """
    return dpo_loss(
        per_token(policy_chosen, chosen_tokens),
        per_token(policy_rejected, rejected_tokens),
        per_token(ref_chosen, chosen_tokens),
        per_token(ref_rejected, rejected_tokens),
        beta=beta,
    )
