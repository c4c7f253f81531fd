"""A toy stage whose work can be done by other processes, and what a worker needs to do it."""

from pathlib import Path

import pytest
import torch

from vtalign.video.sample import FramePolicy
from vtalign_data.config import BuildConfig
from vtalign_data.run_model import ModelFacts, RunModel
from vtalign_data.runners.tools import WorkTools
from vtalign_data.runners.worker import WorkerSetup
from vtalign_data.versions import run_versions


@pytest.fixture
def toy_config(tmp_path: Path) -> BuildConfig:
    return BuildConfig(videos=tmp_path, model="no model is loaded", out=tmp_path / "out", device="cpu")


@pytest.fixture
def toy_setup(toy_config: BuildConfig) -> WorkerSetup:
    return WorkerSetup(toy_config, ModelFacts("fingerprint", FramePolicy(), ()), torch.get_num_threads(), run_versions())


@pytest.fixture
def toy_tools(toy_config: BuildConfig) -> WorkTools:
    return WorkTools(toy_config, RunModel(toy_config))
