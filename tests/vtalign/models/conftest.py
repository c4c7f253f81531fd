"""A small random Qwen3-VL with weights large enough that a wrong mask or position shows, and frames made from content."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vtalign.ids import seed_from
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row
from vtalign.models.tiny import POLICY, build_tiny
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import Slot, VideoView

SENTENCES = ["a red square moves left , then a blue circle grows .", "describe the video .", "what happens first ?"] * 20


class NoiseFrames:
    """A frame source: every slot's content is its own fixed noise. Counts how often it is asked."""

    def __init__(self, height: int = 48, width: int = 48) -> None:
        self.size = height, width
        self.asked: list[str] = []

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        self.asked.append(view.view_id)
        draws = [np.random.default_rng(seed_from(slot.video_id, slot.frame)) for slot in view.slots]
        return np.stack([draw.integers(0, 256, (*self.size, 3), dtype=np.uint8) for draw in draws])


def _make_view(video: str = "video-a", frames: int = 4, fps: float = 2.0) -> VideoView:
    return VideoView(tuple(Slot(video, index, index / fps) for index in range(frames)), fps)


def _make_lm(scale: float = 0.25, seed: int = 0, **sizes: int) -> VideoLM:
    model, processor = build_tiny(SENTENCES, seed=seed, width=64, layers=2, mlp=96, vision_width=32, vision_layers=2, **sizes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return VideoLM(model.eval(), processor, POLICY)


@pytest.fixture(scope="session")
def make_view() -> Callable[..., VideoView]:
    """(video id, number of frames, fps) -> the plain view."""
    return _make_view


@pytest.fixture(scope="session")
def make_lm() -> Callable[..., VideoLM]:
    """A fresh model (scale of the weights, seed): for tests that change it."""
    return _make_lm


@pytest.fixture(scope="session")
def lm() -> VideoLM:
    return _make_lm()


@pytest.fixture
def source() -> NoiseFrames:
    return NoiseFrames()


@pytest.fixture(scope="session")
def make_source() -> type[NoiseFrames]:
    """(height, width) -> a frame source."""
    return NoiseFrames


@pytest.fixture(scope="session")
def reference_logps() -> Callable[[VideoLM, Row, NoiseFrames], list[torch.Tensor]]:
    """Log-probs of a row's responses by plain transformers: one full conversation each, its own positions and causal mask."""

    def compute(lm: VideoLM, row: Row, source: NoiseFrames) -> list[torch.Tensor]:
        return [_plain_logps(lm, row.prompt, response, source) for response in row.responses]

    return compute


def _plain_logps(lm: VideoLM, prompt: Prompt, response: str, source: NoiseFrames) -> torch.Tensor:
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "video"} for part in prompt.parts]
    turn = [{"role": "user", "content": content}]
    opened = lm.processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    closed = lm.processor.apply_chat_template(
        [*turn, {"role": "assistant", "content": [{"type": "text", "text": response}]}], tokenize=False
    )

    def inputs(text: str) -> dict[str, torch.Tensor]:
        videos = [source.frames(view) for view in prompt.views]
        clocks = [
            {"total_num_frames": len(view), "fps": view.fps, "frames_indices": list(range(len(view)))} for view in prompt.views
        ]
        visual = {"videos": videos, "video_metadata": clocks, "do_resize": False, "do_sample_frames": False} if videos else {}
        return dict(lm.processor(text=[text], return_tensors="pt", **visual))

    whole, start = inputs(closed), inputs(opened)["input_ids"].shape[1]
    ids = whole["input_ids"][0]
    stop = start + ids[start:].tolist().index(lm.tokenizer.eos_token_id) + 1
    logits = lm.model(**whole, use_cache=False).logits[0].float().log_softmax(-1)
    return logits[torch.arange(start - 1, stop - 1), ids[start:stop]]
