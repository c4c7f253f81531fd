"""Train the tiny base model from scratch: first the vision tower on dense labels, then the whole model on text about videos.

Scenes are rendered as they are needed, so no video is met twice; the written corpus comes from the same generator with other
seeds. Text about videos of several clips is unreliable about time on purpose (`vtalign_data.synth.world.told_story`).
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm
from transformers import Qwen3VLForConditionalGeneration, Qwen3VLProcessor, set_seed

from vtalign.cli.base_text import CLIP_COUNTS, CLIP_WEIGHTS, ORDER_CLIP_WEIGHTS, BaseExample, example_for, sentences
from vtalign.losses import sft_loss, token_mean
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.tiny import MERGE, PATCH, POLICY, SIDE, TEMPORAL_PATCH, build_tiny, save_tiny
from vtalign.models.video_lm import model_parts
from vtalign.video.view import Slot, VideoView
from vtalign_data.synth.render import FRAMES_PER_CLIP, draw_frame, state_at
from vtalign_data.synth.world import COLOURS, FPS, SHAPES, Event

CELLS = SIDE // (PATCH * MERGE)  # vision tokens along one side of a frame
_COLOUR_NAMES = (*COLOURS, "none")


@dataclass(frozen=True)
class OrderRound:
    """Steps, peak learning rate, and how many captions and questions of order a video of several clips gets."""

    steps: int
    lr: float
    captions: int
    orders: int


@dataclass(frozen=True)
class BaseRecipe:
    """How long and how fast; the shipped checkpoint was made with these values."""

    seed: int = 0
    vision_steps: int = 1300
    vision_batch: int = 64
    vision_lr: float = 2e-3
    # Language: single clips only for `single_steps` (short rows, fast steps), then all lengths up to `language_steps`, on a cosine
    # that would end at `language_schedule`; then, in rounds on short cosines of their own, with more questions of order, whose answer
    # a model must learn to pick from the options named.
    single_steps: int = 900
    language_steps: int = 2400
    language_schedule: int = 3600
    language_lr: float = 2e-3
    rounds: tuple[OrderRound, ...] = (OrderRound(600, 1e-3, 1, 2), OrderRound(420, 8e-4, 2, 2), OrderRound(240, 6e-4, 2, 3))
    batch: int = 24


def train_base(folder: Path, recipe: BaseRecipe) -> None:
    """Train and save a base checkpoint to `folder`."""
    set_seed(recipe.seed)
    model, processor = build_tiny(sentences(random.Random(recipe.seed)), seed=recipe.seed)
    model.train()
    train_vision(model, recipe)
    train_language(model, processor, recipe)
    train_order_questions(model, processor, recipe)
    save_tiny(model, processor, folder)


def train_vision(model: Qwen3VLForConditionalGeneration, recipe: BaseRecipe) -> None:
    """Every vision token says what it covers: shape, colours at both of its frames, displacement and growth between them.

    Stands in for the pre-trained encoder of a real video LLM; without it a model this small does not find motion.
    """
    tower = model.model.visual
    width = model.config.get_text_config().hidden_size
    sizes = [len(SHAPES) + 1, len(_COLOUR_NAMES), len(_COLOUR_NAMES), 3]
    head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sum(sizes)))
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.vision_lr, weight_decay=0.01)
    rng = random.Random(recipe.seed + 1)
    bar = tqdm(range(recipe.vision_steps), desc="vision tower", unit="step")
    for step in bar:
        _set_lr(optimizer, recipe.vision_lr, step, recipe.vision_steps)
        frames, labels = [], []
        for _ in range(recipe.vision_batch):
            example = example_for(rng, clips=1)
            frames.append(render_slots(example, rng))
            labels.append(_dense_labels(example))
        pixels, grids = patchify(frames)
        target = torch.from_numpy(np.concatenate(labels))
        parts = head(tower(pixels, grid_thw=grids).pooler_output).split(sizes, -1)
        covered = target[:, 0] > 0
        loss = F.cross_entropy(parts[0], target[:, 0].long())
        for part, column in zip(parts[1:3], (1, 2), strict=True):
            loss = loss + F.cross_entropy(part[covered], target[covered, column].long())
        loss = loss + 2 * F.smooth_l1_loss(parts[3][covered], target[covered, 3:])
        _step(loss, optimizer, parameters)
        if step % 10 == 0:
            shape_right = (parts[0][covered].argmax(-1) == target[covered, 0]).float().mean()
            bar.set_postfix(loss=f"{loss.item():.3f}", shape=f"{shape_right.item():.2f}")


def train_language(model: Qwen3VLForConditionalGeneration, processor: Qwen3VLProcessor, recipe: BaseRecipe) -> None:
    """Train everything on captions and questions."""

    def examples(step: int, rng: random.Random) -> list[BaseExample]:
        # All rows of a step have one clip count, hence nearly one length: padding would cost a third of the time.
        clips = 1 if step < recipe.single_steps else rng.choices(CLIP_COUNTS, CLIP_WEIGHTS)[0]
        return [example_for(rng, clips=clips) for _ in range(recipe.batch)]

    steps, schedule, seed = recipe.language_steps, recipe.language_schedule, recipe.seed + 2
    _read(model, processor, examples, "language", steps=steps, schedule=schedule, lr=recipe.language_lr, seed=seed)


def train_order_questions(model: Qwen3VLForConditionalGeneration, processor: Qwen3VLProcessor, recipe: BaseRecipe) -> None:
    """The same with more questions of order, whose answers are coin flips all the same, and with questions that can only be answered
    by reading their options: before these the model answered a question of order with any object of the video."""
    for number, one in enumerate(recipe.rounds):

        def examples(step: int, rng: random.Random, one: OrderRound = one) -> list[BaseExample]:
            clips = rng.choices(CLIP_COUNTS, ORDER_CLIP_WEIGHTS)[0]
            return [
                example_for(rng, clips=clips, captions=one.captions, orders=one.orders, things=2) for _ in range(recipe.batch)
            ]

        title, seed = f"questions of order {number + 1}", recipe.seed + 3 + number
        _read(model, processor, examples, title, steps=one.steps, schedule=one.steps, lr=one.lr, seed=seed)


def _read(
    model: Qwen3VLForConditionalGeneration,
    processor: Qwen3VLProcessor,
    examples: Callable[[int, random.Random], list[BaseExample]],
    title: str,
    *,
    steps: int,
    schedule: int,
    lr: float,
    seed: int,
) -> None:
    """Next-token training on what `examples` draws for every step; the texts about one video share its tokens in one row."""
    parts = model_parts(model.config, processor, POLICY, "tiny base")
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, betas=(0.9, 0.98))
    rng = random.Random(seed)
    smoothed = math.nan
    bar = tqdm(range(steps), desc=title, unit="step", mininterval=0.5)
    for step in bar:
        _set_lr(optimizer, lr, step, schedule)
        drawn = _Drawn(examples(step, rng), rng)
        logps, mask = branch_logps(model, build_batch(parts, drawn.rows, drawn))
        loss = token_mean(sft_loss(logps, mask), mask.sum())
        _step(loss, optimizer, list(model.parameters()))
        smoothed = loss.item() if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * loss.item()
        if step % 10 == 0:
            bar.set_postfix(loss=f"{smoothed:.4f}")


class _Drawn:
    """The rows of one step, and the frames that they show, rendered instead of read."""

    def __init__(self, examples: list[BaseExample], rng: random.Random) -> None:
        self._rng = rng
        self._example: dict[VideoView, BaseExample] = {}
        self.rows: list[Row] = []
        for number, example in enumerate(examples):
            view = _view_of(example, f"story-{number}")
            self._example[view] = example
            self.rows += [Row(Prompt((view, question)), (answer,)) for question, answer in example.texts]

    def frames(self, view: VideoView) -> np.ndarray:
        return render_slots(self._example[view], self._rng)


def _view_of(example: BaseExample, name: str) -> VideoView:
    slots = enumerate(example.slots)
    return VideoView(tuple(Slot(name, clip * FRAMES_PER_CLIP + frame, i / POLICY.fps) for i, (clip, frame) in slots), POLICY.fps)


def render_slots(example: BaseExample, rng: random.Random) -> np.ndarray:
    """The frames that the example shows, uint8 (T, SIDE, SIDE, 3), as they look after H.264 and resizing (4:2:0 colour, noise)."""
    noise = np.random.default_rng(rng.getrandbits(32))
    frames = []
    for clip, frame in example.slots:
        image = draw_frame(example.story[clip], frame / FRAMES_PER_CLIP)
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), cv2.COLOR_YUV2RGB_I420)
        frames.append(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    stacked = np.stack(frames).astype(np.float32)
    return np.clip(stacked + noise.normal(0, 1.5, stacked.shape), 0, 255).astype(np.uint8)


def patchify(videos: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """What the Qwen video processor makes of frames of this size: patches (sum of patches, patch values) and grids (B, 3)."""
    cells = {"tp": TEMPORAL_PATCH, "mh": MERGE, "mw": MERGE, "ph": PATCH, "pw": PATCH}
    order = "(t tp) (h mh ph) (w mw pw) c -> (t h w mh mw) (c tp ph pw)"
    flat = [rearrange(torch.from_numpy(video).float() / 127.5 - 1.0, order, **cells) for video in videos]
    grid = SIDE // PATCH
    return torch.cat(flat), torch.tensor([[len(video) // TEMPORAL_PATCH, grid, grid] for video in videos])


def _dense_labels(example: BaseExample) -> np.ndarray:
    """(tokens, 6): shape + 1 or 0 where nothing is, colours at both frames, (dx, dy, growth) in vision tokens."""
    rows = []
    for (clip, first), (_, second) in zip(example.slots[::2], example.slots[1::2], strict=True):
        event: Event = example.story[clip]
        states = [state_at(event, frame / FRAMES_PER_CLIP) for frame in (first, second)]
        seen = [state for state in states if state.visible]
        motion = [(getattr(states[1], name) - getattr(states[0], name)) * CELLS * 2 for name in ("x", "y", "radius")]
        colours = [_COLOUR_NAMES.index(state.colour if state.visible else "none") for state in states]
        for row in range(CELLS):
            for column in range(CELLS):
                centre = ((column + 0.5) / CELLS, (row + 0.5) / CELLS)
                covers = any(math.hypot(s.x - centre[0], s.y - centre[1]) < 0.5 / CELLS + 0.7 * s.radius for s in seen)
                shape = 1 + SHAPES.index(event.shape) if covers else 0
                rows.append([shape, *colours, *motion])
    return np.array(rows, np.float32)


def _set_lr(optimizer: torch.optim.Optimizer, peak: float, step: int, steps: int) -> None:
    scale = min(1.0, (step + 1) / 60) * max(0.02, 0.5 * (1 + math.cos(math.pi * step / steps)))
    for group in optimizer.param_groups:
        group["lr"] = peak * scale


def _step(loss: Tensor, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


assert FPS == 8 and FRAMES_PER_CLIP == 16, "the slots of base_text.py are written for 16 frames a clip"
