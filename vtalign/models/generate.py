"""Batched writing of responses: prompts about one video are read as one shared row, then one token per step over their caches.

A loop of our own over the public forward, because `generate()` can neither share a prefill nor keep what a request samples
independent of who else is in the batch. Greedy results equal `generate()`'s (tested).

Legend: B requests still being written, P padded prompt length, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from vtalign.models.encode import LMParts, encode_prompts
from vtalign.models.features import visual_inputs, visual_kwargs
from vtalign.models.forward import kept_logits, position_input, text_inputs
from vtalign.models.layout import lay_out
from vtalign.models.requests import FrameSource, Generation, Request

_COMPACT_AT = 0.75  # finished rows leave the batch when this share or less is still open: copying the cache costs about a step


@torch.no_grad()
def generate_batch(model: Any, parts: LMParts, requests: Sequence[Request], source: FrameSource) -> list[Generation]:
    """Responses to `requests`, in order, as one batch. Raises InputError and VideoError as `encode_prompts` does.

    Where the text model has anything but full attention they are written one by one, on masks and caches of its own.
    """
    stops = _stop_ids(model, parts)
    if parts.shares_rows:
        written = _write(model, parts, requests, source, stops)
    else:
        written = [ids for request in requests for ids in _write(model, parts, [request], source, stops)]
    return [_finished(parts, ids, stops) for ids in written]


def _stop_ids(model: Any, parts: LMParts) -> list[int]:
    """The end of turn, and what else the checkpoint says ends its text."""
    also = model.generation_config.eos_token_id
    also = also if isinstance(also, list) else [] if also is None else [also]
    return list(dict.fromkeys([parts.template.end_of_turn, *also]))


def _write(model: Any, parts: LMParts, requests: Sequence[Request], source: FrameSource, stops: list[int]) -> list[list[int]]:
    device = model.device
    most = max(request.max_new_tokens for request in requests)
    logits, cache, real_BP, next_position_B, axes = _read(model, parts, requests, source)
    B, P = real_BP.shape
    keys_BL = torch.cat([real_BP, torch.ones(B, most, dtype=torch.bool, device=device)], dim=1)
    limit_B = torch.tensor([request.max_new_tokens for request in requests], device=device)
    stop_ids = torch.tensor(stops, device=device)
    choose = _Chooser(requests, most, device)
    tokens: list[list[int]] = [[] for _ in requests]
    owners = list(range(B))  # which request each row of the batch writes
    open_B = torch.ones(B, dtype=torch.bool, device=device)
    for step in range(most):
        token_B = choose(logits.float(), step)
        for owner, token, is_open in zip(owners, token_B.tolist(), open_B.tolist(), strict=True):
            if is_open:
                tokens[owner].append(token)
        open_B &= ~torch.isin(token_B, stop_ids) & (limit_B > step + 1)
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
            attention_mask=keys_BL[:, None, None, : P + step + 1] if parts.shares_rows else None,
            position_ids=position_input((next_position_B + step).expand(axes, -1)[:, :, None]),
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]
    return tokens


def _read(
    model: Any, parts: LMParts, requests: Sequence[Request], source: FrameSource
) -> tuple[torch.Tensor, DynamicCache, torch.Tensor, torch.Tensor, int]:
    """Prefill: first logits (B, V), a cache of left-padded prompts, which of its keys are real (B, P), next positions (B,) and
    how many axes a position has.

    Requests about the same views are read as one shared row; each then gets its own copy of the keys on its path.
    """
    device = model.device
    prompts, videos = encode_prompts(parts, [request.prompt for request in requests], source)
    layout = lay_out(
        [(prompt, []) for prompt in prompts], parts.max_positions, share=parts.shares_rows, dense=not parts.tree_attention
    )
    visual = visual_inputs(parts.family, videos, layout.shown)
    rows, ends = np.array([place.row for place in layout.places]), np.array([place.prompt[-1] for place in layout.places])
    keep = np.zeros(layout.ids.shape, dtype=bool)
    keep[rows, ends] = True
    number = keep.cumsum().reshape(keep.shape) - 1
    read = DynamicCache(config=model.config.get_text_config())
    logits_KV = kept_logits(
        model,
        parts.family,
        torch.from_numpy(keep).to(device),
        **text_inputs(*(torch.from_numpy(array).to(device) for array in (layout.ids, layout.positions, layout.types))),
        attention_mask=torch.from_numpy(layout.mask[:, None]).to(device) if parts.shares_rows else None,
        past_key_values=read,
        use_cache=True,
        **visual_kwargs(model, visual.to(device) if visual else None),
    )
    # Behind the largest position, as `generate()` does it. Where positions are the library's own, a long video may reach beyond
    # the text that follows it; in all other cases the last token has the largest.
    next_position_B = torch.tensor([int(prompt.positions.max()) + 1 for prompt in prompts], device=device)
    first, axes = logits_KV[torch.from_numpy(number[rows, ends]).to(device)], len(layout.positions)
    B, P = len(prompts), max(map(len, prompts))
    if not parts.shares_rows:
        return first, read, torch.ones(B, P, dtype=torch.bool, device=device), next_position_B, axes
    path_BP, real_BP = np.zeros((B, P), np.int64), np.zeros((B, P), dtype=bool)
    for index, place in enumerate(layout.places):
        path_BP[index, P - len(place.prompt) :], real_BP[index, P - len(place.prompt) :] = place.prompt, True
    rows_B1, path = torch.from_numpy(rows)[:, None].to(device), torch.from_numpy(path_BP).to(device)
    cache = DynamicCache(config=model.config.get_text_config())
    layer: Any
    for number_of_layer, layer in enumerate(read.layers):
        # (rows, heads, L, head size) -> (B, P, heads, head size) by path -> cache layout
        keys, values = (kept.transpose(1, 2)[rows_B1, path].transpose(1, 2) for kept in (layer.keys, layer.values))
        cache.update(keys, values, number_of_layer)
    return first, cache, torch.from_numpy(real_BP).to(device), next_position_B, axes


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


def _finished(parts: LMParts, ids: list[int], stops: list[int]) -> Generation:
    ended = ids[-1] in stops
    body = ids[:-1] if ended else ids
    stray = [token for token in body if token in parts.template.special_ids]
    words = [token for token in body if token not in parts.template.special_ids]
    text = parts.tokenizer.decode(words, clean_up_tokenization_spaces=False)
    names = tuple(parts.tokenizer.convert_ids_to_tokens(stray))
    return Generation(text.strip(), len(ids), "end" if ended else "length", names)
