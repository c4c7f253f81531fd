"""Vision features kept across batches: by view for training with a frozen encoder, by temporal patch for generation and scores."""

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from vtalign.models.features import (
    VisualInputs,
    call_inside,
    copied,
    encoder_outputs,
    encoder_sharded,
    encoder_trains,
    feature_tensors,
    from_patches,
    patch_outputs,
    transformers_model,
)
from vtalign.models.patches import PatchKey
from vtalign.models.rows import RowBatch
from vtalign.video.view import VideoView


class FeatureStore:
    """Encoder outputs by view, on the model's device, up to `room_mb` megabytes; a view beyond them is encoded at every use.

    A view is encoded alone, so that its features do not depend on the batch in which it is first met (a resumed run meets views
    in other batches than the run that was killed).
    """

    def __init__(self, room_mb: int = 512) -> None:
        self._room = room_mb * 1024**2
        self._held: dict[VideoView, Any] = {}

    @torch.no_grad()
    def fill(self, model: nn.Module, batch: RowBatch) -> RowBatch:
        """`batch` with the features of its views; unchanged where the encoder trains or a wrapper hides it."""
        visual = batch.visual
        inner = transformers_model(model)
        if visual is None or inner is None or encoder_trains(inner, visual.family):
            return batch
        if encoder_sharded(inner, visual.family):
            # What a device holds already differs between devices; here all must make the same one call, for this batch alone.
            if len(visual.alike) > 1:
                return batch
            made = call_inside(model, lambda: encoder_outputs(inner, visual, range(len(visual.views))))
            return replace(batch, visual=replace(visual, features=tuple(made)))
        features = []
        for index, view in enumerate(visual.views):
            known = self._held.get(view)
            if known is None:
                [known] = encoder_outputs(inner, visual, [index])
                self._keep(view, known)
            features.append(known)
        return replace(batch, visual=replace(visual, features=tuple(features)))

    def _keep(self, view: VideoView, features: Any) -> None:
        size = _bytes(features)
        if size <= self._room:
            self._room -= size
            self._held[view] = features


class PatchStore:
    """Encoder outputs by temporal patch, for the batches of one call: what several of their views show is encoded once.

    Only for work without gradients, on one frame source. Up to `room_mb` megabytes stay, on the model's device; the longest
    unused go first.
    """

    def __init__(self, room_mb: int = 1024) -> None:
        self._room = room_mb * 1024**2
        self._held: OrderedDict[PatchKey, Any] = OrderedDict()
        self._behind: Any = None

    @torch.no_grad()
    def fill(self, model: nn.Module, visual: VisualInputs | None) -> VisualInputs | None:
        """`visual` with the features of its views; unchanged where views are encoded whole, or a wrapper hides or shards the
        encoder. Its pixels may be anywhere: of distinct patches alone they go to the model's device."""
        inner = transformers_model(model)
        if visual is None or inner is None or visual.family.patch_axis is None or encoder_sharded(inner, visual.family):
            return visual
        made = {key: self._held[key] for key in visual.places if key in self._held}
        if missing := [key for key in visual.places if key not in made]:
            new, self._behind = patch_outputs(inner, visual, missing, inner.device)
            made |= new
        filled = replace(visual, features=from_patches(visual, made, self._behind))
        self._keep(made)
        return filled

    def _keep(self, made: dict[PatchKey, Any]) -> None:
        for key, features in made.items():
            if key in self._held:
                self._held.move_to_end(key)
            else:
                self._held[key] = copied(features)
                self._room -= _bytes(features)
            while self._room < 0:
                _, dropped = self._held.popitem(last=False)
                self._room += _bytes(dropped)


def _bytes(features: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in feature_tensors(features))
