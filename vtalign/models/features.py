"""Vision features of a batch: each distinct view is encoded once wherever no gradient must flow through the encoder."""

import copy
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

    `views` are the U distinct views, `pixels` float (patches of all of them, patch size), `grids` long (U, 3); `shown` long (S,):
    which distinct view each placeholder run shows, in the order of the rows. `features`: encoder outputs of each view where they
    are known already (see `feature_store`).
    """

    family: Family
    views: tuple[VideoView, ...]
    pixels: torch.Tensor
    grids: torch.Tensor
    shown: torch.Tensor
    features: tuple[Any, ...] | None = None

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
        tuple(distinct),
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
    if visual.features is not None:
        known = joined(visual.features, visual.shown.tolist())
        return {family.grid: visual.grids[visual.shown], "mm_encoder_outputs": {"video": known}}
    if not visual.repeats:
        return {family.pixels: visual.pixels, family.grid: visual.grids}
    grids = visual.grids[visual.shown]
    inner = transformers_model(model)
    if inner is not None and not (torch.is_grad_enabled() and encoder_trains(inner, family)):
        outputs = encoder_outputs(inner, family, visual.pixels, visual.grids)
        once = joined(split(outputs, len(visual.views)), visual.shown.tolist())
        return {family.grid: grids, "mm_encoder_outputs": {"video": once}}
    patches = visual.pixels.split(visual.grids.prod(-1).tolist())
    return {family.pixels: torch.cat([patches[index] for index in visual.shown.tolist()]), family.grid: grids}


def transformers_model(model: nn.Module) -> Any | None:
    """The transformers model under PEFT and DistributedDataParallel; None where a wrapper keeps submodules from being called."""
    inner: Any = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
    if hasattr(inner, "get_base_model"):
        inner = inner.get_base_model()
    sharded = any(type(module).__name__.startswith(("FSDP", "FullyShardedDataParallel")) for module in (model, inner))
    zero3 = any(hasattr(parameter, "ds_id") for parameter in inner.parameters())
    return inner if hasattr(inner, "get_video_features") and not sharded and not zero3 else None


def encoder_trains(inner: Any, family: Family) -> bool:
    return any(parameter.requires_grad for parameter in inner.get_submodule(family.encoder).parameters())


def split(outputs: Any, count: int) -> tuple[Any, ...]:
    """Encoder outputs of `count` videos as one for each."""
    alone = []
    for index in range(count):
        one = copy.copy(outputs)
        one.last_hidden_state = None
        one.pooler_output = (outputs.pooler_output[index],)
        if getattr(outputs, "deepstack_features", None) is not None:
            one.deepstack_features = [(layer[index],) for layer in outputs.deepstack_features]
        alone.append(one)
    return tuple(alone)


def joined(features: tuple[Any, ...], order: list[int]) -> Any:
    """Encoder outputs of single videos as one, in `order`."""
    outputs = copy.copy(features[order[0]])
    outputs.pooler_output = tuple(features[index].pooler_output[0] for index in order)
    if getattr(outputs, "deepstack_features", None) is not None:
        layers = range(len(outputs.deepstack_features))
        outputs.deepstack_features = [tuple(features[index].deepstack_features[layer][0] for index in order) for layer in layers]
    return outputs


@torch.no_grad()
def encoder_outputs(inner: Any, family: Family, pixels: torch.Tensor, grids: torch.Tensor) -> Any:
    return inner.get_video_features(**{family.pixels: pixels, family.grid: grids}, return_dict=True)
