"""Training of the tiny base: its inputs are those of the processor and it learns."""

import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from vtalign.cli.base_model import BaseRecipe, OrderRound, patchify, render_slots, train_base
from vtalign.cli.base_text import example_for


def test_patches_are_those_of_the_processor(tiny_checkpoint: Path) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint)
    videos = [render_slots(example_for(random.Random(seed), clips=clips), random.Random(0)) for seed, clips in ((1, 1), (2, 3))]
    pixels, grids = patchify(videos)
    expected = processor.video_processor(videos=videos, return_tensors="pt")
    assert torch.equal(grids, expected["video_grid_thw"])
    torch.testing.assert_close(pixels, expected["pixel_values_videos"], atol=1e-6, rtol=0)


@pytest.mark.slow
def test_a_short_training_learns_and_repeats(tmp_path: Path) -> None:
    rounds = (OrderRound(2, 1e-3, 1, 1),)
    short = BaseRecipe(
        vision_steps=4, vision_batch=8, single_steps=6, language_steps=8, language_schedule=8, rounds=rounds, batch=4
    )
    train_base(tmp_path / "a", short)
    train_base(tmp_path / "b", short)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    assert AutoModelForImageTextToText.from_pretrained(tmp_path / "a").config.model_type == "qwen3_vl"
