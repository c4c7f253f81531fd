"""Batched writing of responses: left-padded prefill, then one token per step over the key-value cache.

A loop of our own over the public forward: on small models `generate()` spends most of its time around the forward (measured), and
sampling must not depend on who else is in the batch. Greedy results equal `generate()`'s (tested).

Legend: B requests still being written, P padded prompt length, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from vtalign.models.encode import LMParts, encode_prompts
from vtalign.models.features import visual_inputs, visual_kwargs
from vtalign.models.requests import FrameSource, Generation, Request

_COMPACT_AT = 0.75  # finished rows leave the batch when this share or less is still open: copying the cache costs about a step


@torch.no_grad()
def generate_batch(model: Any, parts: LMParts, requests: Sequence[Request], source: FrameSource) -> list[Generation]:
    """Responses to `requests`, in order, as one batch. Raises InputError and VideoError as `encode_prompts` does."""
    written = _write(model, parts, requests, source)
    return [_finished(parts, ids) for ids in written]


def _write(model: Any, parts: LMParts, requests: Sequence[Request], source: FrameSource) -> list[list[int]]:
    device = model.device
    prompts, videos = encode_prompts(parts, [request.prompt for request in requests], source)
    B, P = len(prompts), max(map(len, prompts))
    most = max(request.max_new_tokens for request in requests)
    ids_BP, types_BP = np.zeros((B, P), np.int64), np.zeros((B, P), np.int64)
    positions_3BP, real_BP = np.zeros((3, B, P), np.int64), np.zeros((B, P), bool)
    for row, prompt in enumerate(prompts):
        at = P - len(prompt)
        ids_BP[row, at:], types_BP[row, at:], positions_3BP[:, row, at:] = prompt.ids, prompt.types, prompt.positions
        real_BP[row, at:] = True
    attends_BPP = np.tril(np.ones((P, P), bool)) & real_BP[:, None]
    attends_BPP |= np.eye(P, dtype=bool)  # padding attends to itself: a query without any key is not a number
    cache = DynamicCache(config=model.config.get_text_config())
    visual = visual_inputs(parts.family, videos, [view for prompt in prompts for view in prompt.views])
    logits = model(
        input_ids=torch.from_numpy(ids_BP).to(device),
        attention_mask=torch.from_numpy(attends_BPP[:, None]).to(device),
        position_ids=torch.from_numpy(positions_3BP).to(device),
        mm_token_type_ids=torch.from_numpy(types_BP).to(device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        **visual_kwargs(model, visual.to(device) if visual else None),
    ).logits[:, -1]
    next_position_B = torch.from_numpy(positions_3BP[0, :, -1] + 1).to(device)
    keys_BL = torch.from_numpy(np.concatenate([real_BP, np.ones((B, most), bool)], axis=1)).to(device)
    choose = _Chooser(requests, most, device)
    limit_B = torch.tensor([request.max_new_tokens for request in requests], device=device)
    tokens: list[list[int]] = [[] for _ in requests]
    owners = list(range(B))  # which request each row of the batch writes
    open_B = torch.ones(B, dtype=torch.bool, device=device)
    for step in range(most):
        token_B = choose(logits.float(), step)
        for owner, token, is_open in zip(owners, token_B.tolist(), open_B.tolist(), strict=True):
            if is_open:
                tokens[owner].append(token)
        open_B &= (token_B != parts.template.end_of_turn) & (limit_B > step + 1)
        staying = int(open_B.sum())
        if staying == 0:
            break
        if staying <= len(owners) * _COMPACT_AT:
            chosen = open_B.nonzero()[:, 0]
            cache.batch_select_indices(chosen)
            choose.select(chosen)
            token_B, next_position_B, keys_BL = token_B[chosen], next_position_B[chosen], keys_BL[chosen]
            limit_B, open_B = limit_B[chosen], open_B[chosen]
            owners = [owners[index] for index in chosen.tolist()]
        logits = model(
            input_ids=token_B[:, None],
            attention_mask=keys_BL[:, None, None, : P + step + 1],
            position_ids=(next_position_B + step).expand(3, -1)[:, :, None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
    return tokens


class _Chooser:
    """Next tokens: the most likely one, or, at a temperature, the one where the request's own uniform numbers fall."""

    def __init__(self, requests: Sequence[Request], steps: int, device: torch.device) -> None:
        self._temperature_B = torch.tensor([request.temperature for request in requests], device=device)
        self._samples = any(request.temperature > 0 for request in requests)
        if self._samples:
            # one stream per request, so that neither its neighbours nor its place in the batch change what it draws
            streams = [np.random.default_rng(request.seed).random(steps) for request in requests]
            self._uniform_BS = torch.from_numpy(np.stack(streams)).to(device)

    def __call__(self, logits_BV: torch.Tensor, step: int) -> torch.Tensor:
        greedy_B = logits_BV.argmax(-1)
        if not self._samples:
            return greedy_B
        scale_B = self._temperature_B.clamp(min=1e-6)[:, None]
        cumulative_BV = (logits_BV / scale_B).softmax(-1).double().cumsum(-1)
        threshold_B1 = self._uniform_BS[:, step, None] * cumulative_BV[:, -1:]
        sampled_B = torch.searchsorted(cumulative_BV, threshold_B1, right=True)[:, 0].clamp(max=logits_BV.shape[-1] - 1)
        return torch.where(self._temperature_B > 0, sampled_B, greedy_B)

    def select(self, rows: torch.Tensor) -> None:
        self._temperature_B = self._temperature_B[rows]
        if self._samples:
            self._uniform_BS = self._uniform_BS[rows]


def _finished(parts: LMParts, ids: list[int]) -> Generation:
    ended = bool(ids) and ids[-1] == parts.template.end_of_turn
    body = ids[:-1] if ended else ids
    stray = [token for token in body if token in parts.template.special_ids]
    text = parts.tokenizer.decode([token for token in body if token not in parts.template.special_ids])
    names = tuple(parts.tokenizer.convert_ids_to_tokens(stray))
    return Generation(text.strip(), len(ids), "end" if ended else "length", names)
