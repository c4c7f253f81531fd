"""The roomy cache layer holds what transformers' own layer holds, step by step."""

import torch
from transformers.cache_utils import DynamicLayer

from vtalign.models.cache import RoomyLayer


def _append(layers: list[DynamicLayer], rows: int, tokens: int) -> None:
    states = [torch.randn(rows, 2, tokens, 3) for _ in range(2)]
    returned = [layer.update(*states) for layer in layers]
    for ours, theirs in zip(*returned, strict=True):
        assert torch.equal(ours, theirs)


def test_it_holds_what_a_dynamic_layer_holds() -> None:
    layers = [RoomyLayer(), DynamicLayer()]
    _append(layers, 4, 5)
    for _ in range(600):  # beyond the room twice
        _append(layers, 4, 2)
    for layer in layers:
        layer.batch_select_indices(torch.tensor([0, 3]))
    for _ in range(3):
        _append(layers, 2, 1)
    assert layers[0].get_seq_length() == layers[1].get_seq_length() == 5 + 600 * 2 + 3
    assert torch.equal(layers[0].keys, layers[1].keys) and torch.equal(layers[0].values, layers[1].values)


def test_most_steps_copy_nothing() -> None:
    layer = RoomyLayer()
    layer.update(torch.zeros(1, 1, 1000, 4), torch.zeros(1, 1, 1000, 4))
    place = layer.keys.data_ptr()
    moved = 0
    for _ in range(125):
        layer.update(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 1, 4))
        moved += layer.keys.data_ptr() != place
    assert moved == 0
