"""RRPO (Sarkar and Etemad, arXiv 2504.12083): DPO on the phrases that differ, held to the reference on the whole chosen response.

As the authors' code has it (github.com/pritamqu/RRPO): the KL term is added. The formula on their project page subtracts it.
"""

from torch import Tensor
from torch.nn.functional import logsigmoid

from vtalign.losses.logps import sum_logps
from vtalign.losses.rewards import PreferenceTerms, implicit_rewards, require_pairs


def rrpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    chosen_phrases: Tensor,
    rejected_phrases: Tensor,
    chosen_kl: Tensor | None,
    *,
    beta: float,
    alpha: float,
) -> PreferenceTerms:
    """-log sigmoid(u) + alpha * chosen_kl of n pairs, not reduced.

    Log-probs are per token, (n, T); the phrase masks are bool (n, T), and u is `dpo_loss`'s margin of the tokens inside phrases.
    (The sum over phrases that the paper writes makes it irrelevant which phrase a token belongs to, and how many there are on
    either side.) chosen_kl (n,) is `token_kl` of all tokens of the chosen response; it may be None with alpha = 0, the paper's
    ablation. Raises ValueError for shapes that differ, beta <= 0 or alpha < 0.
    """
    if alpha < 0:
        raise ValueError(f"alpha should not be negative, got {alpha}")
    chosen, rejected = implicit_rewards(
        sum_logps(policy_chosen, chosen_phrases),
        sum_logps(policy_rejected, rejected_phrases),
        sum_logps(ref_chosen, chosen_phrases),
        sum_logps(ref_rejected, rejected_phrases),
        beta,
    )
    losses = -logsigmoid(chosen - rejected)
    if alpha:
        if chosen_kl is None:
            raise ValueError(f"alpha {alpha} needs the token KL of the chosen responses")
        require_pairs(losses, chosen_kl)
        losses = losses + alpha * chosen_kl
    return PreferenceTerms(losses, chosen.detach(), rejected.detach())
