"""Losses: pure functions of tensors, one file per loss, nothing reduced behind the caller's back."""

from vtalign.losses.dpo import dpo_loss
from vtalign.losses.hinge import hinge_loss
from vtalign.losses.inputs import PreferenceLogps
from vtalign.losses.ipo import ipo_loss
from vtalign.losses.length import desensitise_length
from vtalign.losses.listwise import plackett_luce_loss
from vtalign.losses.logps import per_token, sum_logps
from vtalign.losses.registry import find_loss, installed_losses
from vtalign.losses.rewards import PreferenceTerms
from vtalign.losses.robust import robust_dpo_loss
from vtalign.losses.rrpo import rrpo_loss
from vtalign.losses.sft import SFTTerms, response_means, sft_loss, token_mean
from vtalign.losses.sigmoid_norm import sigmoid_norm_loss
from vtalign.losses.simpo import simpo_loss
from vtalign.losses.token_kl import token_kl
from vtalign.losses.vdpo import vdpo_loss

__all__ = [
    "PreferenceLogps",
    "PreferenceTerms",
    "SFTTerms",
    "desensitise_length",
    "dpo_loss",
    "find_loss",
    "hinge_loss",
    "installed_losses",
    "ipo_loss",
    "per_token",
    "plackett_luce_loss",
    "response_means",
    "robust_dpo_loss",
    "rrpo_loss",
    "sft_loss",
    "sigmoid_norm_loss",
    "simpo_loss",
    "sum_logps",
    "token_kl",
    "token_mean",
    "vdpo_loss",
]
