"""Losses of installed packages: entry points of the group `vtalign.losses`.

One is a function `(PreferenceLogps, **settings) -> Tensor (n,)`: the loss of every pair, not reduced, settings with defaults or
given in the recipe.
"""

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

import torch
from torch import Tensor

from vtalign.errors import InputError
from vtalign.losses.inputs import PreferenceLogps

ENTRY_POINT_GROUP = "vtalign.losses"

PairLoss = Callable[[PreferenceLogps], Tensor]


def installed_losses() -> list[str]:
    """Names of the losses of installed packages."""
    return sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)})


def find_loss(name: str, settings: Mapping[str, Any]) -> PairLoss:
    """The installed loss called `name` with its `settings`; what it returns is checked at every call.

    Raises InputError for an unknown name, an entry point that cannot be loaded or is no function, and settings that it does not
    take or misses; when called, where the result is not one number with gradient for every pair.
    """
    point = next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)
    if point is None:
        raise InputError(f"loss '{name}': unknown (installed losses: {', '.join(installed_losses()) or 'none'})")
    try:
        function = point.load()
    except Exception as error:  # whatever a package does when it is imported
        raise InputError(
            f"loss '{name}': its entry point {point.value} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not callable(function):
        raise InputError(f"loss '{name}': its entry point {point.value} is a {type(function).__name__}, not a function")
    try:
        inspect.signature(function).bind(None, **settings)
    except TypeError as error:
        raise InputError(f"loss '{name}': {point.value} cannot be called with settings {dict(settings)}: {error}") from None

    def loss(logps: PreferenceLogps) -> Tensor:
        losses = function(logps, **settings)
        _require_loss_per_pair(losses, logps, f"loss '{name}' ({point.value})")
        return losses

    return loss


def _require_loss_per_pair(losses: Any, logps: PreferenceLogps, name: str) -> None:
    wanted = (logps.policy_chosen.shape[0],)
    if not isinstance(losses, Tensor):
        raise InputError(f"{name}: returned a {type(losses).__name__}, expected a tensor {wanted}, one loss a pair")
    if losses.shape != wanted or not losses.is_floating_point():
        raise InputError(
            f"{name}: returned {losses.dtype} {tuple(losses.shape)}, expected a float tensor {wanted}, one loss a pair"
        )
    if torch.is_grad_enabled() and logps.policy_chosen.requires_grad and not losses.requires_grad:
        raise InputError(f"{name}: its result has no gradient; it must not detach the policy's log-probs")
