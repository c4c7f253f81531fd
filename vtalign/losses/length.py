"""Length-desensitised DPO, LD-DPO (Liu et al., arXiv 2409.06411): what one response says beyond the other's length counts less."""

from dataclasses import replace

import torch
from torch import Tensor

from vtalign.losses.inputs import PreferenceLogps


def desensitise_length(logps: PreferenceLogps, alpha: float) -> PreferenceLogps:
    """`logps` with every token behind the length of the shorter response weighed by alpha, for policy and reference alike.

    Any loss of sums can follow. alpha = 1 changes nothing, alpha = 0 compares only as many tokens as both responses have. The
    perturbed side is left alone: it is the chosen response again, of the same length. Raises ValueError for alpha outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha should be in [0, 1], got {alpha}")
    chosen_tokens, rejected_tokens = logps.token_counts()
    shared = torch.minimum(chosen_tokens, rejected_tokens)[:, None]

    def weighed(side: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask.cumsum(dim=1) > shared, alpha * side, side)

    return replace(
        logps,
        policy_chosen=weighed(logps.policy_chosen, logps.chosen_mask),
        policy_rejected=weighed(logps.policy_rejected, logps.rejected_mask),
        reference_chosen=None if logps.reference_chosen is None else weighed(logps.reference_chosen, logps.chosen_mask),
        reference_rejected=None if logps.reference_rejected is None else weighed(logps.reference_rejected, logps.rejected_mask),
    )
