"""Calling a model of any family: what its forward takes for the text side, and logits at chosen positions only.

Legend: B rows, L row length, K kept positions, V vocabulary, D hidden size.
"""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from vtalign.models.families import Family


def text_inputs(ids: torch.Tensor, positions: torch.Tensor, types: torch.Tensor) -> dict[str, torch.Tensor]:
    """Inputs of forward from ids (B, L), positions (axes, B, L) and types (B, L); families of one axis know no types."""
    inputs = {"input_ids": ids, "position_ids": position_input(positions)}
    return inputs if len(positions) == 1 else {**inputs, "mm_token_type_ids": types}


def position_input(positions: torch.Tensor) -> torch.Tensor:
    """(axes, B, L) as forward takes it: M-RoPE with its axes, one axis without."""
    return positions[0] if len(positions) == 1 else positions


def kept_logits(model: nn.Module, family: Family, keep: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """Logits (K, V) where `keep` bool (B, L) is set, in the order of the positions; none are computed elsewhere."""
    if family.slices_logits:
        return model(**inputs, logits_to_keep=keep).logits
    handle = unembedding(model).register_forward_pre_hook(lambda module, hidden: (hidden[0][keep],))
    try:
        return model(**inputs).logits
    finally:
        handle.remove()


def kept_logits_and_hidden(
    model: nn.Module, family: Family, keep: torch.Tensor, **inputs: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """`kept_logits` and, of the same forward, the hidden states (K, D) that they are made of."""
    read: list[torch.Tensor] = []
    handle = unembedding(model).register_forward_hook(lambda module, hidden, logits: read.append(hidden[0]))
    try:
        return kept_logits(model, family, keep, **inputs), read[0]
    finally:
        handle.remove()


def unembedding(model: nn.Module) -> nn.Module:
    """The layer that turns hidden states into logits, under any wrapper."""
    inner = next(module for module in model.modules() if isinstance(module, PreTrainedModel))
    return inner.get_output_embeddings()
