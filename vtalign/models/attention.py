"""Attention over shared rows without an L x L mask, registered with transformers under `TREE_ATTENTION`.

A shared row is `[prefix | subtree_0 | subtree_1 ..]` (see `layout`). Its prefix is plain causal text, which fused kernels read without
any mask; only what follows, the tail, needs one. So the mask that travels through the model holds the rows of the tail alone,
bool (B, 1, T, L), and its height says where the tail starts. A mask as high as the queries (a dense one, or none) means what it
means to sdpa: generation and other people's code get exactly sdpa. The result is that of the dense mask, which is the oracle in tests.

Legend: B rows, H heads, L row length, S length of the prefix that all rows have, T = L - S tail, D head size.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

TREE_ATTENTION = "vtalign_tree"

# How often each path ran in this process: `shared` with the mask of a tail, `blocks` of those with the tail in blocks, `plain`
# as sdpa.
calls: Counter[str] = Counter()


def tree_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    tail_blocks: Sequence[int] = (),
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of `query` (B, H, L, D) over `key` and `value` (B, key heads, keys, D): (B, L, H, D).

    `attention_mask` is None, as high as the queries, or bool (B, 1, T, L) for the last T of them. `tail_blocks` (b_0, .., b_n = L)
    promises that between b_i and b_(i+1) nothing is seen but what stands before b_0 and the block itself: it saves work and changes
    no number, so a model that does not hand it on is right as well. Raises ValueError for a tail that continues a cache.
    """
    if attention_mask is None or attention_mask.shape[2] == query.shape[2]:
        calls["plain"] += 1
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    length, tail = query.shape[2], attention_mask.shape[2]
    if key.shape[2] != length or attention_mask.shape[3] != length:
        raise ValueError(f"a tail mask {tuple(attention_mask.shape)} needs {length} queries and as many keys, not {key.shape[2]}")
    kwargs.pop("is_causal", None)
    calls["shared"] += 1
    start = length - tail
    parts = []
    if start:
        prefix = [side[:, :, :start] for side in (query, key, value)]
        parts.append(sdpa_attention_forward(module, prefix[0], prefix[1], prefix[2], None, is_causal=start > 1, **kwargs)[0])
    if len(tail_blocks) < 3:
        if tail:
            parts.append(sdpa_attention_forward(module, query[:, :, start:], key, value, attention_mask, **kwargs)[0])
        return torch.cat(parts, dim=1), None
    calls["blocks"] += 1
    common = tail_blocks[0]
    for first, last in zip([start, *tail_blocks[:-1]], tail_blocks, strict=True):
        if first == last:
            continue
        own = max(first, common)  # the block before b_0 sees no further than b_0
        keys, values = (torch.cat([side[:, :, :common], side[:, :, own:last]], dim=2) for side in (key, value))
        rows = attention_mask[:, :, first - start : last - start]
        seen = torch.cat([rows[..., :common], rows[..., own:last]], dim=3)
        parts.append(sdpa_attention_forward(module, query[:, :, first:last], keys, values, seen, **kwargs)[0])
    return torch.cat(parts, dim=1), None


def use_tree_attention(model: Any) -> None:
    """Switch the text side of a transformers model to tree attention; its vision encoder keeps what it has."""
    model.set_attn_implementation({"text_config": TREE_ATTENTION})


def has_tree_attention(config: Any) -> bool:
    """Whether a model of this config takes tail masks."""
    return bool(config.get_text_config()._attn_implementation == TREE_ATTENTION)


AttentionInterface.register(TREE_ATTENTION, tree_attention)
AttentionMaskInterface.register(TREE_ATTENTION, sdpa_mask)
