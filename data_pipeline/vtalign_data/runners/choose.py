"""Which runner a build gets."""

from collections.abc import Callable
from contextlib import ExitStack

import torch

from vtalign_data.config import BuildConfig
from vtalign_data.run_model import RunModel
from vtalign_data.runners.local import LocalRunner
from vtalign_data.runners.ray_cluster import RayRunner
from vtalign_data.runners.task import Runner
from vtalign_data.runners.tools import WorkTools
from vtalign_data.runners.worker import WorkerSetup
from vtalign_data.versions import run_versions


def open_runner(config: BuildConfig, stack: ExitStack) -> tuple[Runner, WorkTools]:
    """The runner that `config.runner` names, and the tools of this process; leaving `stack` closes both. Raises InputError."""
    devices = _devices(config)
    # where others hold the models, this process needs one only to know it: not on a GPU
    elsewhere = config.runner.kind == "ray" or len(devices) > 1
    model = RunModel(config.model_copy(update={"device": "cpu"}) if elsewhere else config)
    tools = stack.enter_context(WorkTools(config, model))
    setup = _setup_of(config, model)
    if config.runner.kind == "ray":
        return stack.enter_context(RayRunner(config, tools, setup)), tools
    return LocalRunner(tools, setup, devices), tools


def _devices(config: BuildConfig) -> list[str]:
    """The device of each local model worker: the GPUs in turn where the config leaves the choice."""
    gpus = torch.cuda.device_count() if config.device in ("auto", "cuda") else 0
    asked = config.runner.model_workers
    number = max(1, gpus) if asked == "auto" else asked
    return [f"cuda:{worker % gpus}" if gpus else config.device for worker in range(number)]


def _setup_of(config: BuildConfig, model: RunModel) -> Callable[[], WorkerSetup]:
    return lambda: WorkerSetup(config, model.facts, torch.get_num_threads(), run_versions(config.clips.method))
