"""Implicit rewards of preference losses, and what such a loss returns."""

from typing import NamedTuple

from torch import Tensor


class PreferenceTerms(NamedTuple):
    """All (n,). `losses` carry the gradient; the rewards, whose difference is the margin that the loss looks at, are detached and
    for logging."""

    losses: Tensor
    chosen_rewards: Tensor
    rejected_rewards: Tensor


def implicit_rewards(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """beta * (policy - reference) of both sides, (n,) each, from log-probs (n,). The reference gets no gradient.

    Raises ValueError for shapes that differ (they would broadcast into wrong pairs) and beta <= 0.
    """
    require_pairs(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    require_positive("beta", beta)
    return beta * (policy_chosen - ref_chosen.detach()), beta * (policy_rejected - ref_rejected.detach())


def require_pairs(*tensors: Tensor) -> None:
    """Raise ValueError unless all are of one shape (n,)."""
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) != 1 or tensors[0].dim() != 1:
        raise ValueError(f"log-probs should all be of one shape (n,), got {sorted(shapes)}")


def require_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} should be positive, got {value}")


def require_smoothing(value: float) -> None:
    """Raise ValueError unless an assumed rate of flipped labels leaves the labels worth something."""
    if not 0 <= value < 0.5:
        raise ValueError(f"label_smoothing should be in [0, 0.5), got {value}")
