"""Batched writing of responses: prompts about one video are read as one shared row, and their answers grow on that row.

A step appends one token per open request to its row, and each sees its own path alone. So the keys of a video lie in the cache once,
however many questions about it are answered.

A loop of our own over the public forward, because `generate()` can neither share a prefill nor keep what a request samples
independent of who else is in the batch. Greedy results equal `generate()`'s (tested).

Legend: R rows, W slots (requests that are written on one row, padded), L keys in the cache, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import Cache, DynamicCache

from vtalign.models.cache import RoomyLayer
from vtalign.models.encode import EncodedPrompt, EncodedVideo, LMParts, encode_prompts
from vtalign.models.feature_store import PatchStore
from vtalign.models.features import visual_inputs, visual_kwargs
from vtalign.models.forward import kept_logits, position_input, text_inputs
from vtalign.models.layout import lay_out
from vtalign.models.requests import FrameSource, Generation, Request
from vtalign.video.view import VideoView

_COMPACT_AT = 0.75  # finished slots leave the batch when this share or less would stay: to move the others costs about a step


@torch.no_grad()
def generate_batch(
    model: Any, parts: LMParts, requests: Sequence[Request], source: FrameSource, features: PatchStore
) -> list[Generation]:
    """Responses to `requests`, in order, as one batch; `features` is shared by batches that are about the same videos. Raises
    InputError and VideoError as `encode_prompts` does.

    Where the text model has anything but full attention they are written one by one, on masks and caches of its own.
    """
    stops = _stop_ids(model, parts)
    if parts.shares_rows:
        written = _write(model, parts, requests, source, features, stops)
    else:
        written = [one for request in requests for one in _write(model, parts, [request], source, features, stops)]
    return [_finished(parts, ids, stops, prompt_tokens) for prompt_tokens, ids in written]


def _stop_ids(model: Any, parts: LMParts) -> list[int]:
    """The end of turn, and what else the checkpoint says ends its text."""
    also = model.generation_config.eos_token_id
    also = also if isinstance(also, list) else [] if also is None else [also]
    return list(dict.fromkeys([parts.template.end_of_turn, *also]))


def _write(
    model: Any, parts: LMParts, requests: Sequence[Request], source: FrameSource, features: PatchStore, stops: list[int]
) -> list[tuple[int, list[int]]]:
    """How many tokens each prompt has, and the ids that were written."""
    device = model.device
    most = max(request.max_new_tokens for request in requests)
    limits = torch.tensor([request.max_new_tokens for request in requests], device=device)
    stop_ids = torch.tensor(stops, device=device)
    choose = _Chooser(requests, most, device)
    tokens: list[list[int]] = [[] for _ in requests]
    prompts, _ = encoded = encode_prompts(parts, [request.prompt for request in requests], source)
    logits_RWV, cache, slots, axes = _read(model, parts, *encoded, features)
    for step in range(most):
        token_RW = choose(logits_RWV.float(), slots.owner_RW, step)
        for owner, token in zip(slots.owner_RW[slots.open_RW].tolist(), token_RW[slots.open_RW].tolist(), strict=True):
            tokens[owner].append(token)
        slots.open_RW &= ~torch.isin(token_RW, stop_ids) & (limits[slots.owner_RW] > step + 1)
        if not slots.open_RW.any():
            break
        token_RW = slots.compact(token_RW, cache)
        slots.grow()
        logits_RWV = model(
            input_ids=token_RW,
            attention_mask=slots.sees_RWL[:, None] if parts.shares_rows else None,
            position_ids=position_input((slots.position_RW + step).expand(axes, -1, -1)),
            past_key_values=cache,
            use_cache=True,
        ).logits
    return [(len(prompt), ids) for prompt, ids in zip(prompts, tokens, strict=True)]


@dataclass
class _Slots:
    """Who is written where. `owner_RW` long: the request of a slot; `open_RW` bool: whether it is still written; `position_RW`
    long: the position of its first new token; `sees_RWL` bool: the keys on its path."""

    owner_RW: torch.Tensor
    open_RW: torch.Tensor
    position_RW: torch.Tensor
    sees_RWL: torch.Tensor

    def compact(self, token_RW: torch.Tensor, cache: Cache) -> torch.Tensor:
        """`token_RW` of the slots that stay. Rows and columns of slots without an open request leave; keys of a row stay."""
        rows, width = self.open_RW.any(1).nonzero()[:, 0], int(self.open_RW.sum(1).max())
        if len(rows) * width > _COMPACT_AT * self.open_RW.numel():
            return token_RW
        if len(rows) < len(self.open_RW):
            cache.batch_select_indices(rows)
        columns = (~self.open_RW[rows]).byte().argsort(dim=1, stable=True)[:, :width]  # the open ones first
        chosen = rows[:, None], columns
        self.owner_RW, self.open_RW, self.position_RW = self.owner_RW[chosen], self.open_RW[chosen], self.position_RW[chosen]
        self.sees_RWL = self.sees_RWL[chosen]
        return token_RW[chosen]

    def grow(self) -> None:
        """One more key per slot, seen by that slot alone."""
        R, W = self.owner_RW.shape
        own = torch.eye(W, dtype=torch.bool, device=self.sees_RWL.device).expand(R, W, W)
        self.sees_RWL = torch.cat([self.sees_RWL, own], dim=2)


def _read(
    model: Any,
    parts: LMParts,
    prompts: Sequence[EncodedPrompt],
    videos: dict[VideoView, EncodedVideo],
    features: PatchStore,
) -> tuple[torch.Tensor, Cache, _Slots, int]:
    """Prefill: first logits (R, W, V), the cache of the shared rows, who is written where and how many axes a position has."""
    device = model.device
    layout = lay_out(
        [(prompt, []) for prompt in prompts], parts.max_positions, share=parts.shares_rows, dense=not parts.tree_attention
    )
    visual = features.fill(model, visual_inputs(parts.family, videos, layout.shown))
    rows, ends = np.array([place.row for place in layout.places]), np.array([place.prompt[-1] for place in layout.places])
    keep = np.zeros(layout.ids.shape, dtype=bool)
    keep[rows, ends] = True
    number = keep.cumsum().reshape(keep.shape) - 1
    # layers of other kinds than full attention need caches of their own
    cache = (
        Cache(layer_class_to_replicate=RoomyLayer) if parts.shares_rows else DynamicCache(config=model.config.get_text_config())
    )
    logits_KV = kept_logits(
        model,
        parts.family,
        torch.from_numpy(keep).to(device),
        **text_inputs(*(torch.from_numpy(array).to(device) for array in (layout.ids, layout.positions, layout.types))),
        attention_mask=torch.from_numpy(layout.mask[:, None]).to(device) if parts.shares_rows else None,
        past_key_values=cache,
        use_cache=True,
        **visual_kwargs(model, visual.to(device) if visual else None),
    )
    R, L = layout.ids.shape
    W = int(np.bincount(rows).max())
    owner, is_open, sees = np.zeros((R, W), np.int64), np.zeros((R, W), dtype=bool), np.zeros((R, W, L), dtype=bool)
    for index, place in enumerate(layout.places):
        column = int(is_open[place.row].sum())
        owner[place.row, column], is_open[place.row, column], sees[place.row, column, place.prompt] = index, True, True
    sees[~is_open, 0] = True  # a query without any key is not a number
    # Behind the last token, as `generate()` and `layout` do it. It has the largest position but where positions are the library's
    # own: there a long video may reach beyond the text that follows it.
    position = np.array([int(prompt.positions[:, -1].max()) + 1 for prompt in prompts])[owner]
    slots = _Slots(*(torch.from_numpy(array).to(device) for array in (owner, is_open, position, sees)))
    return logits_KV[torch.from_numpy(number[rows, ends][owner]).to(device)], cache, slots, len(layout.positions)


class _Chooser:
    """Next tokens: the most likely one, or, at a temperature, the one where the request's own uniform numbers fall."""

    def __init__(self, requests: Sequence[Request], steps: int, device: torch.device) -> None:
        self._temperatures = torch.tensor([request.temperature for request in requests], device=device)
        self._samples = any(request.temperature > 0 for request in requests)
        if self._samples:
            # one stream per request, so that neither its neighbours nor its place in the batch change what it draws
            streams = [np.random.default_rng(request.seed).random(steps) for request in requests]
            self._uniforms = torch.from_numpy(np.stack(streams)).to(device)

    def __call__(self, logits_RWV: torch.Tensor, owner_RW: torch.Tensor, step: int) -> torch.Tensor:
        greedy_RW = logits_RWV.argmax(-1)
        if not self._samples:
            return greedy_RW
        temperature_RW = self._temperatures[owner_RW]
        cumulative_RWV = (logits_RWV / temperature_RW.clamp(min=1e-6)[..., None]).softmax(-1).double().cumsum(-1)
        threshold_RW1 = self._uniforms[owner_RW, step, None] * cumulative_RWV[..., -1:]
        sampled_RW1 = torch.searchsorted(cumulative_RWV, threshold_RW1, right=True).clamp(max=logits_RWV.shape[-1] - 1)
        return torch.where(temperature_RW > 0, sampled_RW1[..., 0], greedy_RW)


def _finished(parts: LMParts, ids: list[int], stops: list[int], prompt_tokens: int) -> Generation:
    ended = ids[-1] in stops
    body = ids[:-1] if ended else ids
    stray = [token for token in body if token in parts.template.special_ids]
    words = [token for token in body if token not in parts.template.special_ids]
    text = parts.tokenizer.decode(words, clean_up_tokenization_spaces=False)
    names = tuple(parts.tokenizer.convert_ids_to_tokens(stray))
    return Generation(text.strip(), len(ids), "end" if ended else "length", names, prompt_tokens)
