"""The shared row `[prompt | branch_0 | .. | branch_k]`: the video is read once, every response branches from it.

Legend: B rows, L row length, N branches of all rows, T longest branch, K kept positions, V vocabulary.
A branch attends to the prompt and to itself; its positions go on from the last prompt position. The first token of every branch is
predicted at the last prompt position, so a row keeps logits there and inside its branches only.
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
from vtalign.models.encode import EncodedPrompt, LMParts, encode_prompts, encode_responses
from vtalign.models.families import TEXT
from vtalign.models.features import VisualInputs, visual_inputs, visual_kwargs
from vtalign.models.requests import FrameSource, Row

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RowBatch:
    """Several shared rows, right-padded; everything a forward needs.

    input_ids, mm_token_type_ids: long (B, L); position_ids: long (3, B, L); attention_mask: bool (B, 1, L, L), True = attends.
    keep: bool (B, L), the positions whose logits are computed. kept_index: long (N, T), where in the K kept positions each branch
    token is predicted; targets: long (N, T), its id; target_mask: bool (N, T). branches: how many branches each given row has,
    in row order (their sum is N).
    """

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

    def to(self, device: torch.device | str) -> "RowBatch":
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, torch.Tensor | VisualInputs)}
        return replace(self, **moved)


def build_batch(lm_parts: LMParts, rows: Sequence[Row], source: FrameSource) -> RowBatch:
    """One shared row per `Row`; one row per branch where the text model has anything but full attention.

    Raises InputError (no rows, a row without responses, see `encode_prompts`) and VideoError.
    """
    if not rows or not all(row.responses for row in rows):
        raise InputError("a batch needs rows, and every row at least one response")
    prompts, videos = encode_prompts(lm_parts, [row.prompt for row in rows], source)
    responses = iter(encode_responses(lm_parts, [text for row in rows for text in row.responses]))
    laid = [(prompt, [next(responses) for _ in row.responses]) for prompt, row in zip(prompts, rows, strict=True)]
    if not lm_parts.shares_rows:
        laid = [(prompt, [branch]) for prompt, branches in laid for branch in branches]
    tensors = _lay_out(laid, lm_parts.max_positions)
    visual = visual_inputs(lm_parts.family, videos, [view for prompt, _ in laid for view in prompt.views])
    return RowBatch(**tensors, visual=visual, branches=tuple(len(row.responses) for row in rows))


def branch_logps(model: nn.Module, batch: RowBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs float32 (N, T) of every branch token (0 where masked) and the mask bool (N, T). Differentiable."""
    kept_KV = _kept_logits(model, batch)
    normaliser_K = kept_KV.logsumexp(-1)
    logps_NT = kept_KV[batch.kept_index, batch.targets] - normaliser_K[batch.kept_index]
    return logps_NT.masked_fill(~batch.target_mask, 0.0), batch.target_mask


def branch_logits(model: nn.Module, batch: RowBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits float32 (N, T, V) that predict every branch token, and the mask bool (N, T), for losses on whole distributions."""
    return _kept_logits(model, batch)[batch.kept_index], batch.target_mask


def _kept_logits(model: nn.Module, batch: RowBatch) -> torch.Tensor:
    """float32 (K, V)"""
    outputs = model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        mm_token_type_ids=batch.mm_token_type_ids,
        logits_to_keep=batch.keep,
        use_cache=False,
        **visual_kwargs(model, batch.visual),
    )
    return outputs.logits.float()


def _lay_out(rows: list[tuple[EncodedPrompt, list[list[int]]]], max_positions: int) -> dict[str, Any]:
    """The tensors of `RowBatch` but the visual ones."""
    lengths = [len(prompt) + sum(map(len, branches)) for prompt, branches in rows]
    B, L = len(rows), max(lengths)
    N, T = sum(len(branches) for _, branches in rows), max(len(branch) for _, branches in rows for branch in branches)
    ids_BL, types_BL = np.zeros((B, L), np.int64), np.full((B, L), TEXT, np.int64)
    positions_3BL = np.zeros((3, B, L), np.int64)
    keep_BL, mask_BLL = np.zeros((B, L), bool), np.zeros((B, L, L), bool)
    index_NT, targets_NT, target_mask_NT = np.zeros((N, T), np.int64), np.zeros((N, T), np.int64), np.zeros((N, T), bool)
    kept, n = 0, 0
    for row, (prompt, branches) in enumerate(rows):
        P = len(prompt)
        ids_BL[row, :P], types_BL[row, :P], positions_3BL[:, row, :P] = prompt.ids, prompt.types, prompt.positions
        mask_BLL[row, : lengths[row]] = shared_mask(P, [len(branch) for branch in branches], L)
        keep_BL[row, P - 1] = True
        first, kept, at = kept, kept + 1, P
        for branch in branches:
            size = len(branch)
            # every axis goes on from the last prompt token, never from the largest position nor from the row index
            positions_3BL[:, row, at : at + size] = prompt.positions[:, -1:] + 1 + np.arange(size)
            if positions_3BL[0, row, at + size - 1] >= max_positions:
                raise InputError(f"prompt of {P} tokens and response of {size} do not fit the model's {max_positions} positions")
            ids_BL[row, at : at + size] = targets_NT[n, :size] = branch
            keep_BL[row, at : at + size - 1] = True  # the last token of a branch predicts nothing
            index_NT[n, 0], index_NT[n, 1:size] = first, np.arange(kept, kept + size - 1)
            target_mask_NT[n, :size] = True
            kept, at, n = kept + size - 1, at + size, n + 1
        # a padding position attends to itself: a query without any key is not a number
        padding = np.arange(lengths[row], L)
        mask_BLL[row, padding, padding] = True
    arrays = {
        "input_ids": ids_BL,
        "mm_token_type_ids": types_BL,
        "position_ids": positions_3BL,
        "attention_mask": mask_BLL[:, None],
        "keep": keep_BL,
        "kept_index": index_NT,
        "targets": targets_NT,
        "target_mask": target_mask_NT,
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def shared_mask(prompt: int, branches: list[int], width: int) -> NDArray[np.bool_]:
    """bool (prompt + branches, width): prompt causal, each branch causal on itself and on the whole prompt."""
    owner = np.repeat(np.arange(len(branches) + 1), [prompt, *branches])
    index = np.arange(len(owner))
    mask = np.zeros((len(owner), width), dtype=bool)
    mask[:, : len(owner)] = (index[:, None] >= index) & ((owner == 0) | (owner[:, None] == owner))
    return mask
