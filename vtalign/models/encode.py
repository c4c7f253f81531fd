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
from vtalign.models.families import TEXT, VIDEO, Family
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
    policy: FramePolicy
    template: ChatTemplate
    video_token_id: int
    merge: int
    temporal_patch: int
    frame_multiple: int
    max_positions: int
    shares_rows: bool

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer


@dataclass(frozen=True)
class EncodedVideo:
    """One view as its processor returns it: float patches (patches, patch size), its grid, and its text with placeholders."""

    pixels: torch.Tensor
    grid: tuple[int, int, int]
    text: str


@dataclass(frozen=True)
class EncodedPrompt:
    """Token ids (P,), modality of each token (P,), positions (3, P) and the views in order."""

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
    known: dict[tuple[str, tuple[tuple[int, int, int], ...]], tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = {}
    encoded = []
    for prompt, text in zip(prompts, texts, strict=True):
        grids = tuple(videos[view].grid for view in prompt.views)
        if (text, grids) not in known:
            known[text, grids] = _positioned(parts, ids_of[text], grids)
        encoded.append(EncodedPrompt(*known[text, grids], prompt.views))
    return encoded, videos


def encode_videos(parts: LMParts, views: Sequence[VideoView], source: FrameSource) -> dict[VideoView, EncodedVideo]:
    """Preprocess views with the model's video processor: no resize, no sampling, the slot clock as time."""
    if not views:
        return {}
    frames, metadata = [], []
    for view in views:
        pixels, slots = _whole_patches(parts, view, source.frames(view))
        frames.append(pixels)
        # Slot indices, not source frames: else a shuffled view would tell its order by its timestamps. New lists every time,
        # because processors change them in place.
        metadata.append({"total_num_frames": len(slots), "fps": view.fps, "frames_indices": slots})
    processed = parts.processor.video_processor(
        videos=frames,
        video_metadata=metadata,
        do_resize=False,
        do_sample_frames=False,
        input_data_format="channels_last",
        return_metadata=True,
        return_tensors="pt",
        **parts.family.video_options,
    )
    grids = [(int(t), int(h), int(w)) for t, h, w in processed[parts.family.grid].tolist()]
    pixels = processed[parts.family.pixels].split([t * h * w for t, h, w in grids])
    texts = [parts.processor.replace_video_token(processed, index) for index in range(len(views))]
    return {view: EncodedVideo(p, g, t) for view, p, g, t in zip(views, pixels, grids, texts, strict=True)}


def encode_responses(parts: LMParts, responses: Sequence[str]) -> list[list[int]]:
    """Token ids of each response and its end of turn. What looks like a special token in a response is plain text here."""
    distinct = list(dict.fromkeys(responses))
    if not distinct:
        return []
    ids = parts.tokenizer(distinct, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    ids_of = {}
    for text, response in zip(distinct, ids, strict=True):
        if special := parts.template.special_ids.intersection(response):
            names = parts.tokenizer.convert_ids_to_tokens(sorted(special))
            raise InputError(f"response {text[:80]!r} has the special token(s) {names}; remove them")
        ids_of[text] = [*response, parts.template.end_of_turn]
    return [ids_of[response] for response in responses]


def _whole_patches(parts: LMParts, view: VideoView, frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[int]]:
    """Frames and their slot indices on the view's clock, the last frame repeated to fill the last temporal patch."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or len(frames) != len(view) or len(view) == 0:
        raise InputError(
            f"view {view.view_id}: frames must be uint8 ({len(view)}, H, W, 3) with at least one frame, "
            f"got {frames.dtype} {tuple(frames.shape)}"
        )
    height, width = frames.shape[1:3]
    if height % parts.frame_multiple or width % parts.frame_multiple:
        raise InputError(
            f"view {view.view_id}: frames of {width}x{height} pixels, this model needs multiples of {parts.frame_multiple}; "
            f"set the frame policy's `multiple` to {parts.frame_multiple}"
        )
    slots = [round(slot.time * view.fps) for slot in view.slots]
    missing = -len(frames) % parts.temporal_patch
    if missing:
        frames = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
        slots += slots[-1:] * missing
    return frames, slots


def _positioned(
    parts: LMParts, ids: list[int], grids: tuple[tuple[int, int, int], ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    ids_P = np.asarray(ids, dtype=np.int64)
    if len(ids_P) >= parts.max_positions:
        raise InputError(
            f"a prompt of {len(ids_P)} tokens does not fit the model's {parts.max_positions} positions; "
            "lower the frame policy's `max_frames` or `max_pixels`"
        )
    types_P = np.where(ids_P == parts.video_token_id, VIDEO, TEXT)
    grids_V3 = np.asarray(grids, dtype=np.int64).reshape(-1, 3)
    return ids_P, types_P, parts.family.positions(types_P, grids_V3, parts.merge)
