"""Vision features kept across steps, for training with a frozen encoder: every view is encoded once."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from vtalign.models.features import (
    call_inside,
    encoder_outputs,
    encoder_sharded,
    encoder_trains,
    feature_tensors,
    transformers_model,
)
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
        size = sum(tensor.numel() * tensor.element_size() for tensor in feature_tensors(features))
        if size <= self._room:
            self._room -= size
            self._held[view] = features
