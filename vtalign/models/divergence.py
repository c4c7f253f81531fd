"""How far apart two next-token distributions are, in nats, from logits of any dtype; computed in float32.

Legend: n positions, V vocabulary.
"""

import math

import torch


def jensen_shannon(one_nV: torch.Tensor, other_nV: torch.Tensor) -> torch.Tensor:
    """float32 (n,), between 0 and log 2: (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2. Symmetric."""
    p_nV, q_nV = one_nV.float().log_softmax(-1), other_nV.float().log_softmax(-1)
    # log p/m = log 2 - log(1 + q/p), which is exactly 0 where p equals q
    difference = q_nV - p_nV
    rest = difference.abs().neg().exp().log1p()
    to_p = p_nV.exp() * (math.log(2) - difference.clamp(min=0) - rest)
    to_q = q_nV.exp() * (math.log(2) + difference.clamp(max=0) - rest)
    return (to_p + to_q).sum(-1).clamp(min=0) / 2


def kullback_leibler(one_nV: torch.Tensor, other_nV: torch.Tensor) -> torch.Tensor:
    """float32 (n,): KL(p || q), p from `one_nV`."""
    p_nV, q_nV = one_nV.float().log_softmax(-1), other_nV.float().log_softmax(-1)
    return (p_nV.exp() * (p_nV - q_nV)).sum(-1).clamp(min=0)
