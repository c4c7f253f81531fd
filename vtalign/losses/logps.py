"""From token log-probs to one number per response, as every sequence-level loss wants it."""

import torch
from torch import Tensor


def sum_logps(logps: Tensor, mask: Tensor) -> Tensor:
    """Log-prob of each response: (N,) sums of `logps` (N, L) over the tokens where `mask` (N, L, bool) is True.

    What stands at masked places is never read: padding may hold NaN or -inf, and gets a gradient of exactly zero.
    """
    if logps.shape != mask.shape or logps.dim() != 2:
        raise ValueError(f"logps {tuple(logps.shape)} and mask {tuple(mask.shape)} should both be (N, L)")
    return torch.where(mask, logps, 0.0).sum(dim=1)


def per_token(sums: Tensor, tokens: Tensor) -> Tensor:
    """(N,): log-probs `sums` (N,) of responses of so many `tokens` (N,), per token; 0 where a response has none."""
    if sums.shape != tokens.shape:
        raise ValueError(f"sums {tuple(sums.shape)} and tokens {tuple(tokens.shape)} should both be (N,)")
    return sums / tokens.clamp(min=1)
