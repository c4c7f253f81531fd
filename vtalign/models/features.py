"""Vision features of a batch: what its views show is encoded once wherever no gradient must flow through the encoder."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from vtalign.errors import InputError
from vtalign.models.encode import EncodedVideo
from vtalign.models.families import Family, under
from vtalign.models.patches import PatchKey, cut_patch
from vtalign.video.view import VideoView

Result = TypeVar("Result")


@dataclass(frozen=True)
class VisualInputs:
    """The distinct views of a batch and where they are shown.

    `views` are the U distinct views; `inputs` holds for every visual input of forward one tensor per distinct view; `sizes` says
    how many features the encoder makes of each. `patches` are the temporal patches of each, of `patch_sizes` features. `shown`:
    which distinct view each placeholder run shows, in the order of the rows. `features`: encoder outputs of each view where they
    are known already (see `feature_store`).
    """

    family: Family
    views: tuple[VideoView, ...]
    inputs: dict[str, tuple[torch.Tensor, ...]]
    sizes: tuple[int, ...]
    patches: tuple[tuple[PatchKey, ...], ...]
    patch_sizes: tuple[int, ...]
    shown: tuple[int, ...]
    features: tuple[Any, ...] | None = None

    def to(self, device: torch.device | str) -> "VisualInputs":
        """On `device`, but for pixels that nobody reads any more because their features are known."""
        names = self.inputs if self.features is None else self.family.beside
        moved = {name: tuple(tensor.to(device) for tensor in self.inputs[name]) for name in names}
        return replace(self, inputs={**self.inputs, **moved})

    @property
    def repeats(self) -> bool:
        """Whether some view is shown more than once."""
        return len(self.shown) > len(self.views)

    @cached_property
    def places(self) -> dict[PatchKey, tuple[int, int]]:
        """The distinct temporal patches, and where each comes first: which distinct view, and where in it."""
        found: dict[PatchKey, tuple[int, int]] = {}
        for index, keys in enumerate(self.patches):
            for at, key in enumerate(keys):
                found.setdefault(key, (index, at))
        return found

    @property
    def repeats_patches(self) -> bool:
        """Whether distinct views, or one in itself, show some temporal patch more than once."""
        return len(self.places) < sum(map(len, self.patches))

    @property
    def alike(self) -> list[list[int]]:
        """Distinct views in groups whose tensors can be joined: one group, but where a family stacks whole videos."""
        groups: dict[tuple[int, ...], list[int]] = {}
        along = self.family.joined_along
        for index, frames in enumerate(self.inputs[self.family.pixels[0]]):
            groups.setdefault((*frames.shape[:along], *frames.shape[along + 1 :]), []).append(index)
        return list(groups.values())

    def joined(self, names: Sequence[str], order: Sequence[int]) -> dict[str, torch.Tensor]:
        """The inputs `names` of the distinct views `order` as forward takes them."""
        return {name: torch.cat([self.inputs[name][index] for index in order], self.family.joined_along) for name in names}


def visual_inputs(family: Family, videos: dict[VideoView, EncodedVideo], shown: list[VideoView]) -> VisualInputs | None:
    """The visual inputs of prompts that show `shown`, one entry per placeholder run; None where there is no video."""
    if not shown:
        return None
    distinct = {view: index for index, view in enumerate(dict.fromkeys(shown))}
    return VisualInputs(
        family,
        tuple(distinct),
        {name: tuple(videos[view].inputs[name] for view in distinct) for name in (*family.pixels, *family.beside)},
        tuple(videos[view].features for view in distinct),
        tuple(videos[view].patches for view in distinct),
        tuple(videos[view].grid.height * videos[view].grid.width for view in distinct),
        tuple(distinct[view] for view in shown),
    )


def visual_kwargs(model: nn.Module, visual: VisualInputs | None) -> dict[str, Any]:
    """What `model.forward` takes for the visual part of a batch.

    What is shown several times, by the same view or by others, is encoded once when no gradient is needed (no_grad, or a frozen
    encoder) and the wrapper lets the encoder be called by itself; otherwise pixels are repeated and the plain forward encodes them.
    Views that cannot be stacked are encoded apart, with their gradient where there is one. Raises InputError where a wrapper forbids
    that.
    """
    if visual is None:
        return {}
    family = visual.family
    features, groups = visual.features, visual.alike
    if features is None:
        inner = transformers_model(model)
        sharded = inner is not None and encoder_sharded(inner, family)
        if len(groups) > 1 and (inner is None or sharded):
            shapes = sorted({tuple(frames.shape) for frames in visual.inputs[family.pixels[0]]})
            raise InputError(
                f"a batch of views of different shapes {shapes} needs several calls of the encoder, which a sharded model does not "
                "allow; set the frame policy's `count`"
            )
        trains = inner is not None and torch.is_grad_enabled() and encoder_trains(inner, family)
        by_patch = family.patch_axis is not None and not trains
        # whether a view repeats differs between devices, and devices that share weights must make the same calls
        wanted = visual.repeats or sharded or (by_patch and visual.repeats_patches)
        if inner is not None and (len(groups) > 1 or (not trains and wanted)):
            if by_patch:
                device, keys = visual.inputs[family.pixels[0]][0].device, list(visual.places)
                features = call_inside(model, lambda: from_patches(visual, *patch_outputs(inner, visual, keys, device)))
            else:
                features = call_inside(model, lambda: _encoded(inner, visual, groups, trains))
    if features is None:
        return visual.joined((*family.pixels, *family.beside), visual.shown)
    return {
        **visual.joined(family.beside, visual.shown),
        "mm_encoder_outputs": {family.modality: joined(features, visual.shown)},
    }


def transformers_model(model: nn.Module) -> Any | None:
    """The transformers model under PEFT, DistributedDataParallel, FSDP2 and DeepSpeed; None where a wrapper keeps submodules from
    being called (FSDP1, DeepSpeed stage 3)."""
    inner: Any = getattr(model, "module", model)
    if hasattr(inner, "get_base_model"):
        inner = inner.get_base_model()
    fsdp1 = isinstance(model, FullyShardedDataParallel)
    zero3 = any(hasattr(parameter, "ds_id") for parameter in inner.parameters())
    return inner if hasattr(inner, "get_image_features") and not fsdp1 and not zero3 else None


def encoder_sharded(inner: Any, family: Family) -> bool:
    """Whether anything between pixels and features is sharded with FSDP2: whole inside calls that the whole model knows of only."""
    return any(isinstance(parameter, DTensor) for parameter in _encoder_weights(inner, family))


def call_inside(model: nn.Module, function: Callable[[], Result]) -> Result:
    """Call `function`, which calls submodules of `model`, with the weights gathered as in a forward of `model`.

    Under FSDP2 this is a collective: every device must call it as often as the others.
    """
    if not isinstance(model, FSDPModule):
        return function()
    root: Any = model
    if not hasattr(root, "_vtalign_call"):
        root._vtalign_call = lambda function: function()
        register_fsdp_forward_method(root, "_vtalign_call")
    made: Result = root._vtalign_call(function)
    return made


def encoder_trains(inner: Any, family: Family) -> bool:
    """Whether anything between pixels and features has a gradient."""
    return any(parameter.requires_grad for parameter in _encoder_weights(inner, family))


def encoder_outputs(inner: Any, visual: VisualInputs, indices: Sequence[int]) -> list[Any]:
    """Encoder outputs of the distinct views `indices` (alike in shape), one for each."""
    family = visual.family
    features = getattr(inner, f"get_{family.modality}_features")
    outputs = features(**visual.joined(family.pixels, indices), return_dict=True)
    sizes = [visual.sizes[index] for index in indices]
    return _split(outputs, sizes)


@torch.no_grad()
def patch_outputs(
    inner: Any, visual: VisualInputs, keys: Sequence[PatchKey], device: torch.device
) -> tuple[dict[PatchKey, Any], Any]:
    """Encoder outputs of the temporal patches `keys`, of one call on `device`, and what the family adds behind the frames of a view
    (the line break of LLaVA-OneVision; no features elsewhere)."""
    family = visual.family
    assert family.patch_axis is not None
    places = [visual.places[key] for key in keys]
    cuts = [
        cut_patch(family, {name: visual.inputs[name][view] for name in family.pixels}, len(visual.patches[view]), at)
        for view, at in places
    ]
    pixels = {name: torch.cat([cut[name] for cut in cuts], family.patch_axis).to(device) for name in family.pixels}
    outputs = getattr(inner, f"get_{family.modality}_features")(**pixels, return_dict=True)
    sizes = [visual.patch_sizes[view] for view, _ in places]
    behind = len(_flat(outputs.pooler_output)) - sum(sizes)
    *made, rest = _split(outputs, [*sizes, behind])
    return dict(zip(keys, made, strict=True)), rest


def from_patches(visual: VisualInputs, made: Mapping[PatchKey, Any], behind: Any) -> tuple[Any, ...]:
    """Encoder outputs of each distinct view from those of its temporal patches (see `patch_outputs`)."""
    return tuple(joined([*(made[key] for key in keys), behind], range(len(keys) + 1)) for keys in visual.patches)


def joined(features: Sequence[Any], order: Sequence[int]) -> Any:
    """Encoder outputs of single views as one, in `order`."""
    chosen = [features[index] for index in order]
    depth = len(getattr(chosen[0], "deepstack_features", None) or ())
    layers = [[_flat(one.deepstack_features[layer]) for one in chosen] for layer in range(depth)]
    return _like(chosen[0], [_flat(one.pooler_output) for one in chosen], layers)


def copied(outputs: Any) -> Any:
    """Encoder outputs that do not keep the memory of those that they were cut from."""
    pooled, *layers = (tensor.clone() for tensor in feature_tensors(outputs))
    return _like(outputs, [pooled], [[layer] for layer in layers])


def feature_tensors(outputs: Any) -> list[torch.Tensor]:
    """What encoder outputs hold: features (n, D), and where the family has them those of inner layers."""
    return [_flat(layer) for layer in (outputs.pooler_output, *(getattr(outputs, "deepstack_features", None) or ()))]


def _encoder_weights(inner: Any, family: Family) -> Iterator[nn.Parameter]:
    roots = (family.encoder, *family.projectors)
    return (parameter for name, parameter in inner.named_parameters() if under(name, roots))


def _encoded(inner: Any, visual: VisualInputs, groups: list[list[int]], trains: bool) -> tuple[Any, ...]:
    made: dict[int, Any] = {}
    with torch.set_grad_enabled(trains):
        for group in groups:
            made.update(zip(group, encoder_outputs(inner, visual, group), strict=True))
    return tuple(made[index] for index in range(len(visual.views)))


def _split(outputs: Any, sizes: list[int]) -> list[Any]:
    """Encoder outputs of several, as many features each as `sizes` says, as one for each."""
    pooled = _flat(outputs.pooler_output).split(sizes)
    layers = [_flat(layer).split(sizes) for layer in getattr(outputs, "deepstack_features", None) or ()]
    return [_like(outputs, [pooled[at]], [[layer[at]] for layer in layers]) for at in range(len(sizes))]


def _flat(features: Any) -> torch.Tensor:
    """(n, D) whether given as one tensor (.., D) or as one (n_i, D) per video."""
    if isinstance(features, torch.Tensor):
        return features.reshape(-1, features.shape[-1])
    return torch.cat(tuple(features))


def _like(outputs: Any, pooled: list[torch.Tensor], layers: list[list[torch.Tensor]]) -> Any:
    """Outputs of the same form as `outputs`, without its hidden states."""
    whole = isinstance(outputs.pooler_output, torch.Tensor)
    pooler_output: Any = torch.cat(pooled)[None] if whole else tuple(pooled)
    if not layers:
        return BaseModelOutputWithPooling(pooler_output=pooler_output)
    return type(outputs)(pooler_output=pooler_output, deepstack_features=[tuple(layer) for layer in layers])
