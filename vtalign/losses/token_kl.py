"""KL divergence of the policy from its reference, over the whole vocabulary at every token of a response.

Legend: N responses, T longest response, V vocabulary, k positions of one piece.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Positions whose whole distributions are in memory as float32 at once: 39 MB for a vocabulary of 152k.
_POSITIONS = 64


def token_kl(reference_logits: Tensor, policy_logits: Tensor, mask: Tensor) -> Tensor:
    """(N,), nats: sum over the tokens where `mask` (N, T, bool) is True of KL(reference || policy), from logits (N, T, V).

    Computed in float32 at least, a few positions at a time, and again in the backward pass: beside the logits that are given and
    the gradient of the policy's, nothing of their size is ever held. The reference gets no gradient; what stands at masked places
    is never read, and gets a gradient of exactly zero. Raises ValueError for shapes that do not fit.
    """
    if policy_logits.shape != reference_logits.shape or policy_logits.dim() != 3 or mask.shape != policy_logits.shape[:2]:
        shapes = [tuple(tensor.shape) for tensor in (reference_logits, policy_logits, mask)]
        raise ValueError(f"logits should be (N, T, V) and mask (N, T), got {shapes}")
    kl: Tensor = _TokenKL.apply(reference_logits.detach(), policy_logits, mask)
    return kl


class _TokenKL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, reference_NTV: Tensor, policy_NTV: Tensor, mask_NT: Tensor) -> Tensor:
        ctx.save_for_backward(reference_NTV, policy_NTV, mask_NT)
        kl_NT = torch.zeros(mask_NT.shape, dtype=_wide(policy_NTV.dtype), device=mask_NT.device)
        for at in _pieces(mask_NT):
            p_kV, q_kV = _log_probs(reference_NTV[at]), _log_probs(policy_NTV[at])
            kl_NT[at] = (p_kV.exp() * (p_kV - q_kV)).sum(-1)
        return kl_NT.sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[None, Tensor, None]:
        """d KL(p || q) / d logits of q = q - p."""
        reference_NTV, policy_NTV, mask_NT = ctx.saved_tensors
        grad_NTV = torch.zeros_like(policy_NTV)
        for at in _pieces(mask_NT):
            difference_kV = _log_probs(policy_NTV[at]).exp_() - _log_probs(reference_NTV[at]).exp_()
            grad_NTV[at] = (difference_kV * grad_N[at[0], None]).to(grad_NTV.dtype)
        return None, grad_NTV, None


def _pieces(mask_NT: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices (n, t) of the positions where the mask is True, a few at a time."""
    rows, columns = mask_NT.nonzero(as_tuple=True)
    yield from zip(rows.split(_POSITIONS), columns.split(_POSITIONS), strict=True)


def _log_probs(logits_kV: Tensor) -> Tensor:
    return logits_kV.to(_wide(logits_kV.dtype)).log_softmax(-1)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
