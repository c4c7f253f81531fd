"""What differs between families of video LLMs, as data. A family that is not here is refused, never guessed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vtalign.errors import InputError
from vtalign.models.positions import (
    PositionRule,
    Positions,
    counted,
    one_grid_per_frame,
    one_grid_per_video,
    one_grid_per_video_in_library,
)


@dataclass(frozen=True)
class Geometry:
    """How the frames of a checkpoint become visual tokens.

    Frames are multiples of `multiple` pixels and one token covers `multiple` x `multiple` of them; or, where the tower is fixed,
    frames are exactly `size` (height, width) and make `tokens_per_frame`. `temporal_patch` frames are read together.
    `tokens_per_view` come on top, once per view. `positions_per_second`: of the temporal axis, where it follows the clock.
    """

    multiple: int = 1
    size: tuple[int, int] | None = None
    tokens_per_frame: int = 0
    tokens_per_view: int = 0
    temporal_patch: int = 1
    positions_per_second: float | None = None


@dataclass(frozen=True)
class Family:
    """One family.

    Inputs. `pixels` are the visual inputs of forward that its encoder reads, the frames first; `beside` those that forward needs
    even where features are given; `renamed` maps a name of forward to that of the video processor. The tensors of several views
    are joined along dimension `joined_along`; with `flat_frames` a view is a run of frames without a dimension of its own.
    `modality` names its placeholder token (`<modality>_token_id`), its features function (`get_<modality>_features`) and the key
    of `mm_encoder_outputs`. `video_options` is what its video processor must be told. `patch_axis`: the dimension of its frames along
    which temporal patches follow each other, where encoder and projectors treat each by itself (read in transformers' code, and
    tested); None where they do not: views are then encoded whole.

    Time. `positions` are its position rules. `clock`: where times of frames reach the model, in the `text` of the prompt, in the
    `positions` of visual tokens, or nowhere (`none`: how fast a video runs is then seen by its frames alone).

    Weights. `encoder` is the path of the vision encoder, `projectors` those of the layers that carry features over to the language
    model, `language_model` those of the text side. `slices_logits`: whether forward takes `logits_to_keep`.
    """

    model_type: str
    geometry: Callable[[Any, Any], Geometry]  # (config, video processor)
    positions: Mapping[Positions, PositionRule]
    clock: Literal["text", "positions", "none"]
    encoder: str
    projectors: tuple[str, ...]
    language_model: tuple[str, ...] = ("model.language_model", "lm_head")
    modality: Literal["video", "image"] = "video"
    pixels: tuple[str, ...] = ("pixel_values_videos",)
    beside: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    joined_along: int = 0
    flat_frames: bool = False
    video_options: Mapping[str, Any] = field(default_factory=dict)
    patch_axis: int | None = None
    min_frames: int = 1
    drops_zero_frames: bool = False
    slices_logits: bool = True


def under(name: str, roots: tuple[str, ...]) -> bool:
    """Whether the weight or module `name` is one of `roots` or lies below one."""
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _patches(config: Any, video: Any) -> Geometry:
    """Towers that read frames of any size in patches. Raises InputError where model and processor cut them differently."""
    vision = config.vision_config
    for ours, theirs in (("patch_size", "patch_size"), ("merge_size", "spatial_merge_size"), ("temporal_patch_size",) * 2):
        if getattr(vision, theirs, getattr(video, ours)) != getattr(video, ours):
            raise InputError(f"its processor has {ours} {getattr(video, ours)}, its model {getattr(vision, theirs)}")
    return Geometry(multiple=video.patch_size * video.merge_size, temporal_patch=video.temporal_patch_size)


def _timed_patches(config: Any, video: Any) -> Geometry:
    return Geometry(**{**vars(_patches(config, video)), "positions_per_second": config.vision_config.tokens_per_second})


def _fixed(config: Any, per_frame: Callable[[int], int], per_view: int = 0) -> Geometry:
    """Towers of one frame size; `per_frame`: patches along a side -> tokens."""
    height, width = _pair(config.vision_config.image_size)
    patch, _ = _pair(config.vision_config.patch_size)
    return Geometry(size=(height, width), tokens_per_frame=per_frame(height // patch), tokens_per_view=per_view)


def _pair(size: Any) -> tuple[int, int]:
    return (int(size[0]), int(size[1])) if isinstance(size, list | tuple) else (int(size), int(size))


def _llava_onevision(config: Any, video: Any) -> Geometry:
    return _fixed(config, lambda side: math.ceil(side / 2) ** 2, per_view=1)  # 1: a line break behind the frames


def _llava_next_video(config: Any, video: Any) -> Geometry:
    return _fixed(config, lambda side: (side // config.spatial_pool_stride) ** 2)


def _smolvlm(config: Any, video: Any) -> Geometry:
    return _fixed(config, lambda side: side**2 // config.scale_factor**2)


def _internvl(config: Any, video: Any) -> Geometry:
    return _fixed(config, lambda side: int(side * config.downsample_ratio) ** 2)


_COUNTED: Mapping[Positions, PositionRule] = {"trained": counted, "library": counted}
_PER_VIDEO: Mapping[Positions, PositionRule] = {"trained": one_grid_per_video, "library": one_grid_per_video_in_library}
_PER_FRAME: Mapping[Positions, PositionRule] = {"trained": one_grid_per_frame, "library": one_grid_per_frame}
_PATCHES = ("pixel_values_videos", "video_grid_thw")
# explicit because the default of the per-frame cap changes between releases; frames come at their final size
_UNCAPPED = {"cap_pixels_per_frame": False}
_UNCROPPED = {"do_center_crop": False}
_DEEPSTACK = ("model.visual.merger", "model.visual.deepstack_merger_list")
# the line break between visual tokens is a bare weight of the model
_LLAVA = ("model.multi_modal_projector", "model.vision_resampler", "model.image_newline")

FAMILIES = {
    family.model_type: family
    for family in (
        Family(
            "qwen2_vl",
            geometry=_patches,
            positions=_PER_VIDEO,
            clock="none",
            encoder="model.visual",
            projectors=("model.visual.merger",),
            patch_axis=0,
            pixels=_PATCHES,
            video_options=_UNCAPPED,
        ),
        Family(
            "qwen2_5_vl",
            geometry=_timed_patches,
            positions=_PER_VIDEO,
            clock="positions",
            encoder="model.visual",
            projectors=("model.visual.merger",),
            patch_axis=0,
            pixels=_PATCHES,
            video_options=_UNCAPPED,
        ),
        *(
            Family(
                model_type,
                geometry=_patches,
                positions=_PER_FRAME,
                clock="text",
                encoder="model.visual",
                projectors=_DEEPSTACK,
                patch_axis=0,
                pixels=_PATCHES,
                video_options=_UNCAPPED,
            )
            for model_type in ("qwen3_vl", "qwen3_vl_moe")
        ),
        Family(
            "llava_onevision",
            geometry=_llava_onevision,
            positions=_COUNTED,
            clock="none",
            encoder="model.vision_tower",
            projectors=_LLAVA,
            patch_axis=1,
            video_options=_UNCROPPED,
        ),
        Family(
            "llava_next_video",
            geometry=_llava_next_video,
            positions=_COUNTED,
            clock="none",
            encoder="model.vision_tower",
            projectors=_LLAVA,
            patch_axis=1,
            video_options=_UNCROPPED,
        ),
        Family(
            "smolvlm",
            geometry=_smolvlm,
            positions=_COUNTED,
            clock="text",
            encoder="model.vision_model",
            projectors=("model.connector",),
            patch_axis=1,
            language_model=("model.text_model", "lm_head"),
            modality="image",
            pixels=("pixel_values", "pixel_attention_mask"),
            joined_along=1,
            drops_zero_frames=True,
        ),
        Family(
            "internvl",
            geometry=_internvl,
            positions=_COUNTED,
            clock="none",
            encoder="model.vision_tower",
            projectors=("model.multi_modal_projector",),
            patch_axis=0,
            modality="image",
            pixels=("pixel_values",),
            renamed={"pixel_values": "pixel_values_videos"},
            flat_frames=True,
            video_options=_UNCROPPED,
        ),
        Family(
            "video_llama_3",
            geometry=_patches,
            positions=_COUNTED,
            clock="text",
            encoder="model.vision_model",
            projectors=("model.projector",),
            patch_axis=0,
            pixels=(*_PATCHES, "video_merge_sizes"),
            beside=("video_compression_mask",),
            slices_logits=False,
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
