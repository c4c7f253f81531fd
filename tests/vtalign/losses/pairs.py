"""Pairs to compute losses of: token log-probs with NaN in the padding."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vtalign.losses import PreferenceLogps


def padded(rows: Sequence[Sequence[float]], length: int) -> Tensor:
    """float64 (n, length), NaN behind each row."""
    return torch.tensor([[*row, *[float("nan")] * (length - len(row))] for row in rows], dtype=torch.float64)


def make_logps(
    policy_chosen: Sequence[Sequence[float]],
    policy_rejected: Sequence[Sequence[float]],
    reference_chosen: Sequence[Sequence[float]],
    reference_rejected: Sequence[Sequence[float]],
    **others: Tensor,
) -> PreferenceLogps:
    length = max(len(row) for row in [*policy_chosen, *policy_rejected])
    chosen, rejected = padded(policy_chosen, length), padded(policy_rejected, length)
    return PreferenceLogps(
        policy_chosen=chosen,
        policy_rejected=rejected,
        chosen_mask=~chosen.isnan(),
        rejected_mask=~rejected.isnan(),
        groups=others.pop("groups", torch.arange(len(chosen))),
        reference_chosen=padded(reference_chosen, length),
        reference_rejected=padded(reference_rejected, length),
        **others,
    )
