"""Builds that tell shots apart by an image model."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CLIPImageProcessor, Dinov2Config, Dinov2Model

from vtalign.errors import InputError
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.embed import CheckpointEncoder
from vtalign_data.progress import SilentProgress
from vtalign_data.synth.render import write_mp4

from .run_files import files_of
from .test_run_frames import Stopped
from .test_shot_pass import video


def save_image_model(folder: Path, seed: int) -> str:
    """A tiny DINOv2 with random weights."""
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        Dinov2Model(Dinov2Config(**small)).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(folder)
    return str(folder)


def test_the_fingerprint_of_an_image_model(tmp_path: Path) -> None:
    one, again, other = (
        CheckpointEncoder(save_image_model(tmp_path / name, seed), device="cpu") for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert one.fingerprint == again.fingerprint != other.fingerprint
    size = {"height": 24, "width": 24}
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(tmp_path / "b")
    assert CheckpointEncoder(str(tmp_path / "b"), device="cpu").fingerprint != one.fingerprint


class StoppedAtAShot(SilentProgress):
    """Ends a build, as a kill does, at the first batch of shots."""

    def __init__(self) -> None:
        self._at = ""

    def start(self, stage: str, total: int, unit: str) -> None:
        self._at = stage

    def advance(self, *_: Any) -> None:
        if self._at == "03c-shots":
            raise KeyboardInterrupt


@pytest.fixture
def make_clip(make_config: Callable[..., BuildConfig], tmp_path: Path) -> Callable[..., BuildConfig]:
    """Builds of three videos, whose shots are told apart by an image model."""
    (tmp_path / "videos").mkdir()
    for name, scenes in enumerate(("ABCD", "BCDE", "CDEA")):
        write_mp4(tmp_path / "videos" / f"{name}.mp4", np.stack(video(scenes)), fps=8)
    groups = {"encoder": "clip", "checkpoint": save_image_model(tmp_path / "clip", 0), "threshold": 0.9999}

    def make(out: str, **changes: Any) -> BuildConfig:
        settings: dict[str, Any] = {"clips": {"method": "scenes", "groups": groups}, "batch_size": 1, **changes}
        return make_config(tmp_path / out, videos=tmp_path / "videos", **settings)

    return make


def test_a_run_does_not_go_on_with_another_image_model(make_clip: Callable[..., BuildConfig], tmp_path: Path) -> None:
    config = make_clip("run")
    with pytest.raises(KeyboardInterrupt):
        run_build(config, StoppedAtAShot())
    assert len(list((config.out / "stages" / "03c-shots").glob("part-*.parquet"))) == 1
    save_image_model(tmp_path / "clip", 1)
    with pytest.raises(
        InputError, match=r"was begun with other weights .* in clips\.groups\.checkpoint .*another output folder$"
    ):
        run_build(config)
    save_image_model(tmp_path / "clip", 0)
    with pytest.raises(KeyboardInterrupt):
        run_build(config, StoppedAtAShot())


def test_a_run_that_has_all_its_shots_needs_no_image_model(make_clip: Callable[..., BuildConfig], tmp_path: Path) -> None:
    config = make_clip("run")
    with pytest.raises(KeyboardInterrupt):
        run_build(config, Stopped("04-clips"))
    shutil.rmtree(tmp_path / "clip")
    (tmp_path / "clip").mkdir()
    with pytest.raises(KeyboardInterrupt):
        run_build(config, Stopped("04-clips"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_workers_with_image_models_find_the_same_shots(make_clip: Callable[..., BuildConfig]) -> None:
    for workers in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run_build(make_clip(str(workers), runner={"model_workers": workers}), Stopped("04-clips"))
    one, two = (files_of(make_clip(str(workers)).out) for workers in (1, 2))
    assert one == two and any(row["embedding"] for row in one["stages/03c-shots/part-00000.parquet"])
