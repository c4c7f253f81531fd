"""Vision features of a batch: each distinct view is encoded once wherever no gradient must flow through the encoder."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from vtalign.models.encode import EncodedVideo
from vtalign.models.families import Family
from vtalign.video.view import VideoView


@dataclass(frozen=True)
class VisualInputs:
    """The distinct views of a batch and where they are shown.

    `pixels` float (patches of all distinct views, patch size); `grids` long (U, 3); `shown` long (S,): which distinct view each
    placeholder run shows, in the order of the rows.
    """

    family: Family
    pixels: torch.Tensor
    grids: torch.Tensor
    shown: torch.Tensor

    def to(self, device: torch.device | str) -> "VisualInputs":
        return replace(self, pixels=self.pixels.to(device), grids=self.grids.to(device), shown=self.shown.to(device))

    @property
    def repeats(self) -> bool:
        """Whether some view is shown more than once."""
        return len(self.shown) > len(self.grids)


def visual_inputs(family: Family, videos: dict[VideoView, EncodedVideo], shown: list[VideoView]) -> VisualInputs | None:
    """The visual inputs of prompts that show `shown`, one entry per placeholder run; None where there is no video."""
    if not shown:
        return None
    distinct = {view: index for index, view in enumerate(dict.fromkeys(shown))}
    return VisualInputs(
        family,
        torch.cat([videos[view].pixels for view in distinct]),
        torch.tensor([videos[view].grid for view in distinct]),
        torch.tensor([distinct[view] for view in shown]),
    )


def visual_kwargs(model: nn.Module, visual: VisualInputs | None) -> dict[str, Any]:
    """What `model.forward` takes for the visual part of a batch.

    Views that are shown several times are encoded once when no gradient is needed (no_grad, or a frozen encoder) and no wrapper
    hooks the forward of submodules (FSDP, DeepSpeed stage 3); otherwise pixels are repeated and the plain forward encodes them.
    """
    if visual is None:
        return {}
    family = visual.family
    if not visual.repeats:
        return {family.pixels: visual.pixels, family.grid: visual.grids}
    grids = visual.grids[visual.shown]
    inner = transformers_model(model)
    if inner is not None and not (torch.is_grad_enabled() and _encoder_trains(inner, family)):
        return {family.grid: grids, "mm_encoder_outputs": {"video": _features_once(inner, visual)}}
    patches = visual.pixels.split(visual.grids.prod(-1).tolist())
    return {family.pixels: torch.cat([patches[index] for index in visual.shown.tolist()]), family.grid: grids}


def transformers_model(model: nn.Module) -> Any | None:
    """The transformers model under PEFT and DistributedDataParallel; None under a wrapper whose submodules cannot be called alone."""
    inner: Any = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
    if hasattr(inner, "get_base_model"):
        inner = inner.get_base_model()
    sharded = any(type(module).__name__.startswith(("FSDP", "FullyShardedDataParallel")) for module in (model, inner))
    zero3 = any(hasattr(parameter, "ds_id") for parameter in inner.parameters())
    return inner if hasattr(inner, "get_video_features") and not sharded and not zero3 else None


def _encoder_trains(inner: Any, family: Family) -> bool:
    return any(parameter.requires_grad for parameter in inner.get_submodule(family.encoder).parameters())


def _features_once(inner: Any, visual: VisualInputs) -> Any:
    """Encoder outputs in the order of the rows, each distinct view computed once."""
    family = visual.family
    with torch.no_grad():
        outputs = inner.get_video_features(**{family.pixels: visual.pixels, family.grid: visual.grids}, return_dict=True)
    order = visual.shown.tolist()
    outputs.pooler_output = tuple(outputs.pooler_output[index] for index in order)
    if getattr(outputs, "deepstack_features", None) is not None:
        outputs.deepstack_features = [tuple(layer[index] for index in order) for layer in outputs.deepstack_features]
    return outputs
