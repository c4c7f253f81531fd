"""Shared rows as a batch: the video is read once, every prompt and response about it branches from it (see `layout`).

Legend: B shared rows, L row length, N branches of all given rows, T longest branch, K kept positions, V vocabulary, D hidden size.
The first token of every branch is predicted at the last prompt position, so logits exist there and inside branches only.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vtalign.errors import InputError
from vtalign.models.encode import LMParts, encode_prompts, encode_responses
from vtalign.models.families import Family
from vtalign.models.features import VisualInputs, visual_inputs, visual_kwargs
from vtalign.models.forward import kept_logits, kept_logits_and_hidden, text_inputs
from vtalign.models.layout import lay_out
from vtalign.models.requests import FrameSource, Row

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RowBatch:
    """Everything a forward needs for several given rows. B is at most their number: rows about the same views may be merged.

    input_ids, mm_token_type_ids: long (B, L); position_ids: long (axes, B, L); attention_mask: bool (B, 1, T, L), True = attends,
    of the last T positions (all before them is causal text), and tail_blocks, where that tail can be cut (see `attention`); where
    rows are not shared it is bool (B, L), the real tokens: layers that see less than everything make their own masks of it.
    keep: bool (B, L), the positions whose logits are computed. kept_index: long (N, T), where among the K kept positions each
    branch token is predicted; targets: long (N, T), its id; target_mask: bool (N, T). branches: how many branches each given row
    has (their sum is N); N is in the order of the given rows.
    """

    family: Family
    input_ids: torch.Tensor
    mm_token_type_ids: torch.Tensor
    position_ids: torch.Tensor
    attention_mask: torch.Tensor
    keep: torch.Tensor
    kept_index: torch.Tensor
    targets: torch.Tensor
    target_mask: torch.Tensor
    visual: VisualInputs | None
    branches: tuple[int, ...]
    tail_blocks: tuple[int, ...] = ()

    def to(self, device: torch.device | str) -> "RowBatch":
        moved: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, torch.Tensor | VisualInputs)
        }
        return replace(self, **moved)


def build_batch(lm_parts: LMParts, rows: Sequence[Row], source: FrameSource) -> RowBatch:
    """Shared rows for `rows`; one row per branch where the text model has anything but full attention.

    Raises InputError (no rows, a row without responses, see `encode_prompts`) and VideoError.
    """
    if not rows or not all(row.responses for row in rows):
        raise InputError("a batch needs rows, and every row at least one response")
    prompts, videos = encode_prompts(lm_parts, [row.prompt for row in rows], source)
    responses = iter(encode_responses(lm_parts, [text for row in rows for text in row.responses]))
    given = [(prompt, [next(responses) for _ in row.responses]) for prompt, row in zip(prompts, rows, strict=True)]
    if not lm_parts.shares_rows:
        given = [(prompt, [branch]) for prompt, branches in given for branch in branches]
    layout = lay_out(given, lm_parts.max_positions, share=lm_parts.shares_rows, dense=not lm_parts.tree_attention)
    placed = [
        (place.row, int(place.prompt[-1]), start, branch)
        for place, (_, branches) in zip(layout.places, given, strict=True)
        for start, branch in zip(place.branches, branches, strict=True)
    ]
    arrays = {
        "input_ids": layout.ids,
        "mm_token_type_ids": layout.types,
        "position_ids": layout.positions,
        "attention_mask": layout.mask[:, None] if lm_parts.shares_rows else _real(placed, layout.ids.shape),
        **_predictions(placed, layout.ids.shape),
    }
    tensors: dict[str, Any] = {name: torch.from_numpy(array) for name, array in arrays.items()}
    visual = visual_inputs(lm_parts.family, videos, layout.shown)
    branches = tuple(len(row.responses) for row in rows)
    return RowBatch(lm_parts.family, **tensors, visual=visual, branches=branches, tail_blocks=layout.blocks)


def branch_logps(model: nn.Module, batch: RowBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs float32 (N, T) of every branch token (0 where masked) and the mask bool (N, T). Differentiable."""
    return target_logps(row_logits(model, batch), batch)


def target_logps(logits_KV: torch.Tensor, batch: RowBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """`branch_logps` from the `row_logits` of `batch`."""
    normaliser_K = logits_KV.logsumexp(-1)
    logps_NT = logits_KV[batch.kept_index, batch.targets] - normaliser_K[batch.kept_index]
    return logps_NT.masked_fill(~batch.target_mask, 0.0), batch.target_mask


def row_logits(model: nn.Module, batch: RowBatch) -> torch.Tensor:
    """Logits float32 (K, V) at the kept positions; `batch.kept_index` says which of them predicts a branch token. Differentiable."""
    return kept_logits(model, batch.family, batch.keep, **_inputs(model, batch)).float()


def kept_states(model: nn.Module, batch: RowBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (K, V) and the hidden states (K, D) behind them, of one forward, in the dtype of the model."""
    return kept_logits_and_hidden(model, batch.family, batch.keep, **_inputs(model, batch))


def _inputs(model: nn.Module, batch: RowBatch) -> dict[str, Any]:
    return {
        **text_inputs(batch.input_ids, batch.position_ids, batch.mm_token_type_ids),
        "attention_mask": batch.attention_mask,
        "tail_blocks": batch.tail_blocks,
        "use_cache": False,
        **visual_kwargs(model, batch.visual),
    }


def _real(placed: list[tuple[int, int, int, list[int]]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """bool (B, L): what is not padding, in rows of one branch each."""
    real_BL = np.zeros(shape, dtype=bool)
    for row, _, start, branch in placed:
        real_BL[row, : start + len(branch)] = True
    return real_BL


def _predictions(placed: list[tuple[int, int, int, list[int]]], shape: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    """`keep`, `kept_index`, `targets`, `target_mask` of branches given as (row, last prompt index, start, token ids)."""
    N, T = len(placed), max(len(branch) for *_, branch in placed)
    at_NT, targets_NT, mask_NT = np.zeros((N, T), np.int64), np.zeros((N, T), np.int64), np.zeros((N, T), bool)
    keep_BL = np.zeros(shape, dtype=bool)
    rows_N1 = np.array([row for row, *_ in placed])[:, None]
    for n, (row, last, start, branch) in enumerate(placed):
        size = len(branch)
        at_NT[n] = last
        at_NT[n, 1:size] = np.arange(start, start + size - 1)  # the last token of a branch predicts nothing
        targets_NT[n, :size], mask_NT[n, :size] = branch, True
        keep_BL[row, at_NT[n]] = True
    number_BL = keep_BL.cumsum().reshape(shape) - 1
    return {"keep": keep_BL, "kept_index": number_BL[rows_N1, at_NT], "targets": targets_NT, "target_mask": mask_NT}
