"""What differs between families of video LLMs, as data. A family that is not here is refused, never guessed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtalign.errors import InputError

TEXT, VIDEO = 0, 2  # values of `mm_token_type_ids`

# (token types (n,), grids (V, 3) of temporal, height, width patches, spatial merge) -> positions (axes, n)
PositionRule = Callable[[NDArray[np.int64], NDArray[np.int64], int], NDArray[np.int64]]


@dataclass(frozen=True)
class Family:
    """One family.

    `pixels` and `grid` are the visual inputs of its forward, `encoder` the path of its vision encoder in the model (of which
    `projectors` are the layers that carry features over to the language model), `language_model` the paths of the text side,
    `video_options` what its video processor must be told.
    """

    model_type: str
    positions: PositionRule
    pixels: str
    grid: str
    encoder: str
    projectors: tuple[str, ...]
    language_model: tuple[str, ...]
    video_options: dict[str, Any]


def one_grid_per_frame(types_n: NDArray[np.int64], grids_V3: NDArray[np.int64], merge: int) -> NDArray[np.int64]:
    """Qwen3-VL's M-RoPE: (3, n) positions (temporal, height, width) of a prompt.

    Every temporal patch is a grid of its own behind its timestamp, so text goes on at the largest position of the grid + 1, which
    is max(height, width) tokens after its start. Equal to `Qwen3VLModel.get_rope_index` (tested); computed here because a shared
    row needs the prompt's positions before the model is at hand (collator workers), and because releases of transformers differ.
    """
    positions = np.empty((3, len(types_n)), dtype=np.int64)
    sizes = [(h // merge, w // merge) for t, h, w in grids_V3.tolist() for _ in range(t)]
    edges = np.flatnonzero(np.diff(types_n)) + 1
    position, frame = 0, 0
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(types_n)], strict=True):
        if types_n[start] == TEXT:
            positions[:, start:stop] = np.arange(position, position + stop - start)
            position += stop - start
            continue
        height, width = sizes[frame]
        if height * width != stop - start:
            raise InputError(f"frame {frame} has {height}x{width} visual tokens, its placeholder run has {stop - start}")
        positions[0, start:stop] = position
        positions[1, start:stop] = position + np.repeat(np.arange(height), width)
        positions[2, start:stop] = position + np.tile(np.arange(width), height)
        position += max(height, width)
        frame += 1
    if frame != len(sizes):
        raise InputError(f"the prompt has placeholder runs for {frame} frames, the views have {len(sizes)}")
    return positions


FAMILIES = {
    family.model_type: family
    for family in (
        Family(
            "qwen3_vl",
            positions=one_grid_per_frame,
            pixels="pixel_values_videos",
            grid="video_grid_thw",
            encoder="model.visual",
            projectors=("model.visual.merger", "model.visual.deepstack_merger_list"),
            language_model=("model.language_model", "lm_head"),
            # explicit because the default of the per-frame cap changes between releases; frames come at their final size
            video_options={"cap_pixels_per_frame": False},
        ),
    )
}


def family_of(config: Any, name: str) -> Family:
    """The family of a transformers config; InputError names what is supported."""
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise InputError(
            f"{name}: model type '{config.model_type}' is not a supported video LLM (supported: {', '.join(FAMILIES)})"
        )
    return family


def has_full_attention_only(text_config: Any) -> bool:
    """True where every layer attends to everything before it, which a shared row needs.

    A recurrent layer would run its state through one branch into the next, and a sliding window would count row indices, not
    positions; neither raises an error (measured on a hybrid model: log-probs off by half a nat).
    """
    kinds = getattr(text_config, "layer_types", None)
    if kinds is not None:
        return all(kind == "full_attention" for kind in kinds)
    windowed = getattr(text_config, "sliding_window", None) is not None and getattr(text_config, "use_sliding_window", True)
    return not windowed
