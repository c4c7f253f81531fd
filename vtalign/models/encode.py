"""Prompts -> token ids, positions and pixels. Every view is preprocessed once however many prompts show it.

Legend: P prompt tokens, V views of a prompt, T frames of a view.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vtalign.errors import InputError
from vtalign.models.families import Family, Geometry
from vtalign.models.patches import PatchKey, patch_keys
from vtalign.models.positions import TEXT, VIDEO, Grid, PositionRule
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource
from vtalign.models.template import ChatTemplate
from vtalign.video.sample import FramePolicy
from vtalign.video.view import VideoView


@dataclass(frozen=True)
class LMParts:
    """What of a video LLM is needed to make its inputs: everything but the weights. Collator workers hold this, not the model."""

    processor: Any
    family: Family
    geometry: Geometry
    position_rule: PositionRule
    policy: FramePolicy
    template: ChatTemplate
    video_token_id: int
    min_frames: int
    max_positions: int
    shares_rows: bool
    tree_attention: bool

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer


@dataclass(frozen=True)
class EncodedVideo:
    """One view as its processor returns it: visual inputs of forward by name, and its text with placeholders.

    `grid`: its visual tokens as the position rule sees them. `features`: how many the encoder makes of it (as many as there are
    placeholders, but where the family drops some behind the encoder). `patches`: what each of its temporal patches shows.
    """

    inputs: dict[str, torch.Tensor]
    text: str
    grid: Grid
    features: int
    patches: tuple[PatchKey, ...]


@dataclass(frozen=True)
class EncodedPrompt:
    """Token ids (P,), modality of each token (P,), positions (axes, P) and the views in order."""

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    positions: NDArray[np.int64]
    views: tuple[VideoView, ...]

    def __len__(self) -> int:
        return len(self.ids)


def encode_prompts(
    parts: LMParts, prompts: Sequence[Prompt], source: FrameSource
) -> tuple[list[EncodedPrompt], dict[VideoView, EncodedVideo]]:
    """Encode `prompts` up to and including the generation prompt, and their distinct views.

    Raises InputError (a text with a special token, frames of a wrong size, a prompt beyond the model's length) and VideoError.
    """
    videos = encode_videos(parts, list(dict.fromkeys(view for prompt in prompts for view in prompt.views)), source)
    texts = [parts.template.prompt_text(prompt, [videos[view].text for view in prompt.views]) for prompt in prompts]
    distinct = list(dict.fromkeys(texts))
    ids_of = (
        dict(zip(distinct, parts.tokenizer(distinct, add_special_tokens=False)["input_ids"], strict=True)) if distinct else {}
    )
    known: dict[tuple[str, tuple[Grid, ...]], tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = {}
    encoded = []
    for prompt, text in zip(prompts, texts, strict=True):
        grids = tuple(videos[view].grid for view in prompt.views)
        if (text, grids) not in known:
            known[text, grids] = _positioned(parts, [*parts.template.opening, *ids_of[text]], grids, prompt)
        encoded.append(EncodedPrompt(*known[text, grids], prompt.views))
    return encoded, videos


def encode_videos(parts: LMParts, views: Sequence[VideoView], source: FrameSource) -> dict[VideoView, EncodedVideo]:
    """Preprocess views with the model's video processor: no resize, no sampling, no crop, the slot clock as time."""
    return {view: _encode_video(parts, view, source.frames(view)) for view in views}


def encode_responses(parts: LMParts, responses: Sequence[str]) -> list[list[int]]:
    """Token ids of each response and its end of turn. What looks like a special token in a response is plain text here."""
    distinct = list(dict.fromkeys(responses))
    if not distinct:
        return []
    texts = [parts.template.lead + response for response in distinct]
    ids = parts.tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    ids_of = {}
    for text, response in zip(distinct, ids, strict=True):
        if special := parts.template.special_ids.intersection(response):
            names = parts.tokenizer.convert_ids_to_tokens(sorted(special))
            raise InputError(f"response {text[:80]!r} has the special token(s) {names}; remove them")
        ids_of[text] = [*response, parts.template.end_of_turn]
    return [ids_of[response] for response in responses]


def response_offsets(parts: LMParts, responses: Sequence[str]) -> list[list[tuple[int, int]]]:
    """For each token of `encode_responses`, the (start, stop) characters of its response that it stands for; none, (n, n), for the
    end of turn behind the n characters. Raises InputError where the tokenizer has no offsets.
    """
    if not getattr(parts.tokenizer, "is_fast", False):
        raise InputError(
            f"tokenizer {type(parts.tokenizer).__name__} does not tell which characters a token stands for, which phrase spans "
            "need; give the checkpoint a fast tokenizer (tokenizer.json)"
        )
    if not responses:
        return []
    lead = len(parts.template.lead)
    texts = [parts.template.lead + response for response in responses]
    encoded = parts.tokenizer(texts, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    return [
        [*((max(start - lead, 0), max(stop - lead, 0)) for start, stop in places), (len(response), len(response))]
        for response, places in zip(responses, encoded["offset_mapping"], strict=True)
    ]


def _encode_video(parts: LMParts, view: VideoView, frames: NDArray[np.uint8]) -> EncodedVideo:
    family, geometry = parts.family, parts.geometry
    pixels, slots = _whole_patches(parts, view, frames)
    # Slot indices, not source frames: else a shuffled view would tell its order by its timestamps. Lists of its own, because
    # processors change them in place. Views one by one, because many processors cannot stack different numbers of frames.
    clock = {
        "total_num_frames": len(slots),
        "fps": view.fps,
        "duration": len(view) / view.fps,
        "frames_indices": slots,
        "height": pixels.shape[1],
        "width": pixels.shape[2],
    }
    processed = parts.processor.video_processor(
        videos=[pixels],
        video_metadata=[clock],
        do_resize=False,
        do_sample_frames=False,
        input_data_format="channels_last",
        return_metadata=True,
        return_tensors="pt",
        **family.video_options,
    )
    inputs = {name: processed[family.renamed.get(name, name)] for name in (*family.pixels, *family.beside)}
    if family.drops_zero_frames and not inputs[family.pixels[0]].flatten(2).any(-1).all():
        raise InputError(f"{_named(view)}: its processor makes only zeros of a frame, which this model takes for padding")
    if family.flat_frames:
        inputs = {name: tensor.flatten(0, 1) for name, tensor in inputs.items()}
    grid = _grid(geometry, view, pixels)
    text = parts.processor.replace_video_token(processed, 0)
    features = grid.frames * grid.height * grid.width + geometry.tokens_per_view
    kept = int(inputs["video_compression_mask"].sum()) if "video_compression_mask" in inputs else features
    placeholders = text.count(parts.tokenizer.convert_ids_to_tokens(parts.video_token_id))
    if placeholders != kept:
        raise InputError(
            f"{_named(view)}: the processor makes {placeholders} placeholders where the model makes {kept} visual tokens; "
            "processor and config of this checkpoint do not fit each other"
        )
    patches = patch_keys(view, geometry.temporal_patch, pixels.shape[1:3])
    return EncodedVideo(inputs, text, grid, features, patches)


def _grid(geometry: Geometry, view: VideoView, pixels: NDArray[np.uint8]) -> Grid:
    frames, height, width = len(pixels) // geometry.temporal_patch, *pixels.shape[1:3]
    if geometry.size is not None:
        return Grid(frames, 1, geometry.tokens_per_frame)
    step = 1.0
    if geometry.positions_per_second is not None:
        step = float(np.float32(geometry.temporal_patch / view.fps) * np.float32(geometry.positions_per_second))
    return Grid(frames, height // geometry.multiple, width // geometry.multiple, step)


def _whole_patches(parts: LMParts, view: VideoView, frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[int]]:
    """Frames and their slot indices on the view's clock, the last frame repeated to fill the last temporal patch."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or len(frames) != len(view) or len(view) == 0:
        raise InputError(
            f"{_named(view)}: frames must be uint8 ({len(view)}, H, W, 3) with at least one frame, "
            f"got {frames.dtype} {tuple(frames.shape)}"
        )
    if len(view) < parts.min_frames:
        raise InputError(
            f"{_named(view)}: {len(view)} frame(s), this model needs at least {parts.min_frames}; "
            f"set the frame policy's `min_frames` to {parts.min_frames}"
        )
    height, width = frames.shape[1:3]
    size, multiple = parts.geometry.size, parts.geometry.multiple
    if size is not None and (height, width) != size:
        raise InputError(
            f"{_named(view)}: frames of {width}x{height} pixels, this model needs exactly {size[1]}x{size[0]}; "
            f"set the frame policy's `size` to {list(size)}"
        )
    if height % multiple or width % multiple:
        raise InputError(
            f"{_named(view)}: frames of {width}x{height} pixels, this model needs multiples of {multiple}; "
            f"set the frame policy's `multiple` to {multiple}"
        )
    slots = [round(slot.time * view.fps) for slot in view.slots]
    missing = -len(frames) % parts.geometry.temporal_patch
    if missing:
        frames = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
        slots += slots[-1:] * missing
    return frames, slots


def _positioned(
    parts: LMParts, ids: list[int], grids: tuple[Grid, ...], prompt: Prompt
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    ids_P = np.asarray(ids, dtype=np.int64)
    types_P = np.where(ids_P == parts.video_token_id, VIDEO, TEXT)
    if len(ids_P) >= parts.max_positions:
        about = about_views(prompt.views) or f"({prompt.text[:80]!r})"
        raise InputError(
            f"a prompt {about} of {len(ids_P)} tokens ({int((types_P == VIDEO).sum())} visual) does not fit the model's "
            f"{parts.max_positions} positions; lower the frame policy's `max_frames` or `max_pixels`, or shorten the text"
        )
    return ids_P, types_P, parts.position_rule(types_P, grids)


def about_views(views: Sequence[VideoView]) -> str:
    """Which views a prompt shows, for an error message; nothing for a prompt without any."""
    return "about " + ", ".join(map(_named, views)) if views else ""


def _named(view: VideoView) -> str:
    videos = ", ".join(dict.fromkeys(slot.video_id for slot in view.slots))
    return f"view {view.view_id} (video {videos})" if videos else f"view {view.view_id}"
