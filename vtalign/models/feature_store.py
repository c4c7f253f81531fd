"""Vision features kept across steps, for training with a frozen encoder: every view is encoded once."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from vtalign.models.features import encoder_outputs, encoder_trains, joined, transformers_model
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

    def fill(self, model: nn.Module, batch: RowBatch) -> RowBatch:
        """`batch` with the features of its views; unchanged where the encoder trains or a wrapper hides it."""
        visual = batch.visual
        inner = transformers_model(model)
        if visual is None or inner is None or encoder_trains(inner, visual.family):
            return batch
        pixels = visual.pixels.split(visual.grids.prod(-1).tolist())
        features = []
        for index, view in enumerate(visual.views):
            known = self._held.get(view)
            if known is None:
                outputs = encoder_outputs(inner, visual.family, pixels[index], visual.grids[index : index + 1])
                known = joined((outputs,), [0])
                known.last_hidden_state = None
                self._keep(view, known)
            features.append(known)
        return replace(batch, visual=replace(visual, features=tuple(features)))

    def _keep(self, view: VideoView, features: Any) -> None:
        tensors = [*features.pooler_output, *(layer[0] for layer in getattr(features, "deepstack_features", None) or ())]
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, torch.Tensor))
        if size <= self._room:
            self._room -= size
            self._held[view] = features
