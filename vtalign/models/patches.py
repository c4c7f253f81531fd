"""Temporal patches: the smallest piece of a view that an encoder reads by itself, so that views that show it share its features."""

from collections.abc import Mapping

import torch

from vtalign.models.families import Family
from vtalign.video.view import VideoView

PatchKey = tuple[object, ...]
"""What a temporal patch shows: the size of its frames and the contents of its slots."""


def patch_keys(view: VideoView, temporal_patch: int, size: tuple[int, int]) -> tuple[PatchKey, ...]:
    """What each temporal patch of `view` shows, with frames of `size` (height, width), the last slot repeated to fill the last one."""
    shown = [*view.shown, *view.shown[-1:] * (-len(view) % temporal_patch)]
    return tuple((size, *shown[start : start + temporal_patch]) for start in range(0, len(shown), temporal_patch))


def cut_patch(family: Family, inputs: Mapping[str, torch.Tensor], patches: int, at: int) -> dict[str, torch.Tensor]:
    """What the encoder reads of the temporal patch `at` out of the `patches` of one view with `inputs`: a video of one patch."""
    assert family.patch_axis is not None
    return {name: _cut(name, inputs[name], family.patch_axis, patches, at) for name in family.pixels}


def _cut(name: str, tensor: torch.Tensor, axis: int, patches: int, at: int) -> torch.Tensor:
    if name == "video_grid_thw":  # (1, 3): temporal steps, rows, columns
        return torch.cat([torch.ones_like(tensor[:, :1]), tensor[:, 1:]], 1)
    if name == "video_merge_sizes":  # (1,)
        return tensor
    size = tensor.shape[axis] // patches
    return tensor.narrow(axis, at * size, size)
