"""A small random Qwen3-VL with weights large enough that a wrong mask or position shows, and frames made from content."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vtalign.ids import seed_from
from vtalign.models.load import load_video_lm
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row
from vtalign.models.tiny import POLICY, build_tiny
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import Slot, VideoView

from .family_checkpoints import BUILDERS, FIXED, SIDE, write_checkpoint

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


def make_plain_view(video: str = "video-a", frames: int = 4, fps: float = 2.0) -> VideoView:
    return VideoView(tuple(Slot(video, index, index / fps) for index in range(frames)), fps)


def make_random_lm(scale: float = 0.25, seed: int = 0, **sizes: int) -> VideoLM:
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
    return make_plain_view


@pytest.fixture(scope="session")
def make_lm() -> Callable[..., VideoLM]:
    """A fresh model (scale of the weights, seed): for tests that change it."""
    return make_random_lm


@pytest.fixture(scope="session")
def lm() -> VideoLM:
    return make_random_lm()


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
        outputs = [_plain_outputs(lm, row.prompt, response, source) for response in row.responses]
        return [plain.logps[torch.arange(len(plain.ids)), plain.ids] for plain in outputs]

    return compute


class PlainOutputs(NamedTuple):
    """What plain transformers say of one response, a row of its own: log-probs (n, V) and hidden states (n, D) that predict its
    n tokens, and their ids (n,)."""

    logps: torch.Tensor
    hidden: torch.Tensor
    ids: torch.Tensor


@pytest.fixture(scope="session")
def plain_outputs() -> Callable[[VideoLM, Prompt, str, NoiseFrames], PlainOutputs]:
    return _plain_outputs


def _plain_outputs(lm: VideoLM, prompt: Prompt, response: str, source: NoiseFrames) -> PlainOutputs:
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
    outputs = lm.model(**whole, use_cache=False, output_hidden_states=True)
    predicting = slice(start - 1, stop - 1)
    logps, hidden = outputs.logits[0].float().log_softmax(-1), outputs.hidden_states[-1][0]
    return PlainOutputs(logps[predicting], hidden[predicting], ids[start:stop])


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint folder of a family, written at its first use."""
    root = tmp_path_factory.mktemp("families")

    def folder(family: str) -> Path:
        path = root / family
        return path if path.is_dir() else write_checkpoint(family, path)

    return folder


@pytest.fixture(scope="session")
def load(checkpoints: Callable[[str], Path]) -> Callable[..., VideoLM]:
    """(family, positions) -> a loaded model, the same one every time; tests leave it as it is."""
    held: dict[tuple[str, str], VideoLM] = {}

    def loaded(family: str, positions: Any = "library") -> VideoLM:
        if (family, positions) not in held:
            held[family, positions] = load_video_lm(checkpoints(family), device="cpu", positions=positions)
        return held[family, positions]

    return loaded


@pytest.fixture(params=sorted(BUILDERS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def frames(family: str) -> NoiseFrames:
    """Frames of the fixed size, or, where any will do, of another height and width."""
    return NoiseFrames(SIDE, SIDE) if family in FIXED else NoiseFrames(16, 24)
