"""Losses: pure functions of tensors, one file per loss, nothing reduced behind the caller's back."""

from vtalign.losses.dpo import DPOTerms, dpo_loss
from vtalign.losses.logps import sum_logps
from vtalign.losses.sft import SFTTerms, response_means, sft_loss, token_mean

__all__ = ["DPOTerms", "SFTTerms", "dpo_loss", "response_means", "sft_loss", "sum_logps", "token_mean"]
