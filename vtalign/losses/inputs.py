"""`PreferenceLogps`: what a preference loss may look at. Losses of users' own packages get it whole."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vtalign.losses.logps import sum_logps


@dataclass(frozen=True)
class PreferenceLogps:
    """Per pair: n pairs, T the longest response. Log-probs are those of the response's tokens, the end of turn included, nats.

    What stands where a mask is False may be anything, NaN too: read through `sum_logps` or `torch.where`. Reference tensors carry
    no gradient.
    """

    policy_chosen: Tensor
    """float (n, T), log-probs of the chosen response's tokens under the model in training"""
    policy_rejected: Tensor
    """float (n, T)"""
    chosen_mask: Tensor
    """bool (n, T), which of them are tokens of the response"""
    rejected_mask: Tensor
    """bool (n, T)"""
    groups: Tensor
    """long (n,), pairs of one number share view, prompt and chosen response"""
    reference_chosen: Tensor | None = None
    """float (n, T) under the reference model; None where the stage has no reference"""
    reference_rejected: Tensor | None = None
    """float (n, T)"""
    policy_perturbed: Tensor | None = None
    """float (n, T), the chosen response again, after the perturbed view; its mask is `chosen_mask`"""
    reference_perturbed: Tensor | None = None
    """float (n, T)"""
    chosen_phrases: Tensor | None = None
    """bool (n, T), the tokens of the chosen response that overlap a phrase in which the two responses differ"""
    rejected_phrases: Tensor | None = None
    """bool (n, T)"""
    chosen_kl: Tensor | None = None
    """float (n,), `token_kl` of the chosen response, nats, with gradient"""

    def __post_init__(self) -> None:
        pairs = self.policy_chosen.shape[:1]
        if self.policy_chosen.dim() != 2:
            raise ValueError(f"policy_chosen should be (n, T), got {tuple(self.policy_chosen.shape)}")
        for name, tensor in vars(self).items():
            wanted = pairs if name in ("groups", "chosen_kl") else self.policy_chosen.shape
            if tensor is not None and tensor.shape != wanted:
                raise ValueError(f"{name} should be {tuple(wanted)}, got {tuple(tensor.shape)}")
            if name.endswith(("mask", "phrases")) and tensor is not None and tensor.dtype != torch.bool:
                raise ValueError(f"{name} should be bool, got {tensor.dtype}")

    def token_counts(self) -> tuple[Tensor, Tensor]:
        """Tokens of the chosen and of the rejected responses, long (n,) each."""
        return self.chosen_mask.sum(dim=1), self.rejected_mask.sum(dim=1)

    def policy_sums(self) -> tuple[Tensor, Tensor]:
        """Token-summed log-probs of the chosen and of the rejected responses, (n,) each."""
        return sum_logps(self.policy_chosen, self.chosen_mask), sum_logps(self.policy_rejected, self.rejected_mask)

    def reference_sums(self) -> tuple[Tensor, Tensor]:
        """The same under the reference. Raises ValueError where there is none."""
        if self.reference_chosen is None or self.reference_rejected is None:
            raise ValueError("these pairs have no reference log-probs")
        return sum_logps(self.reference_chosen, self.chosen_mask), sum_logps(self.reference_rejected, self.rejected_mask)

    def perturbed_sums(self) -> tuple[Tensor, Tensor]:
        """Of the chosen responses after the perturbed views, under policy and reference. Raises ValueError where there are none."""
        if self.policy_perturbed is None or self.reference_perturbed is None:
            raise ValueError("these pairs have no log-probs on a perturbed view")
        return sum_logps(self.policy_perturbed, self.chosen_mask), sum_logps(self.reference_perturbed, self.chosen_mask)
