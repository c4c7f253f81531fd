"""Keys and values of a row that grows token by token, kept with room to spare.

transformers' own layer copies all keys and values at every step (`torch.cat`), which for a few long video prompts costs as much as
attending to them.
"""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

_ROOM = 256  # keys beyond what is held, at least; and an eighth of that


class RoomyLayer(DynamicLayer):
    """A `DynamicLayer` whose `keys` and `values` (rows, heads, keys, size) are the filled part of a larger buffer.

    What a step returns is overwritten by none of the next ones, but it is a view: not for steps that need gradients.
    """

    def __init__(self) -> None:
        super().__init__()
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append to every row; all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        held = self.get_seq_length()
        filled = held + key_states.shape[-2]
        if self._buffers is None or filled > self._buffers[0].shape[-2]:
            room = filled + max(_ROOM, filled // 8)
            grown = [new.new_empty((*new.shape[:-2], room, new.shape[-1])) for new in (key_states, value_states)]
            if self.keys is not None and self.values is not None and held:
                grown[0][..., :held, :], grown[1][..., :held, :] = self.keys, self.values
            self._buffers = grown[0], grown[1]
        keys, values = self._buffers
        keys[..., held:filled, :], values[..., held:filled, :] = key_states, value_states
        self.keys, self.values = keys[..., :filled, :], values[..., :filled, :]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows alone."""
        super().batch_select_indices(indices)
        self._buffers = None
