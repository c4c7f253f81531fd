"""`run_recipe`: the stages of a recipe in order, each from the checkpoint of the one before."""

import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import torch
from accelerate import PartialState

from vtalign.artifacts import claim_run_folder, write_json
from vtalign.errors import InputError
from vtalign.training.checkpoints import is_complete, link_tree
from vtalign.training.config import DPOStage, TrainConfig
from vtalign.training.data import data_hash
from vtalign.training.prepare import read_stage_data
from vtalign.training.sharding import require_alike_rows, require_supported_launch
from vtalign.training.stage import StagePlace, StageSummary, finished, run_stage
from vtalign.training.tables import print_plan, print_recipe, print_summary

LIBRARIES = ("vtalign", "torch", "transformers", "peft", "accelerate")
# How long devices wait for the first one, which decodes and scores the reference alone; a process that dies ends the others at once.
_PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class TrainSummary:
    """What a recipe did. `model` is the checkpoint folder that evaluation takes, `history` every logged point of every stage."""

    output: Path
    model: Path
    history: Path
    stages: tuple[StageSummary, ...]
    seconds: float


def run_recipe(config: TrainConfig) -> TrainSummary:
    """Run or resume `config`. Kill it at any moment and run it again: the result is that of an uninterrupted run.

    Raises InputError (paths and data, before a model is loaded; an output folder of another run) and RunFailed.
    """
    began = time.monotonic()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    devices = _devices(config)
    sharding = require_supported_launch(on_cpu=devices.device.type == "cpu")
    data = [read_stage_data(config, stage) for stage in config.stages]
    for stage, rows in zip(config.stages, data, strict=True):
        require_alike_rows(rows.rows, stage, sharding)
    with devices.main_process_first():
        claim_run_folder(config.output, _settings(config), "train")
    if devices.is_main_process:
        print_recipe(config, data)
    summaries: list[StageSummary] = []
    start, anchor = config.model, None
    for number, (stage, rows) in enumerate(zip(config.stages, data, strict=True), 1):
        folder = config.output / "stages" / f"{number:02d}-{stage.name}"
        place = StagePlace(folder, start, tuple(done.name for done in summaries), anchor)
        summary = finished(folder) or run_stage(config, stage, rows, place, devices, print_plan)
        if isinstance(stage, DPOStage) and anchor is None:
            anchor = (start, summary.start_fingerprint)
        summaries.append(summary)
        start = str(folder / "model")
    model, seconds = config.output / "model", round(time.monotonic() - began, 1)
    result = TrainSummary(config.output, model, config.output / "history.jsonl", tuple(summaries), seconds)
    if devices.is_main_process:
        if not is_complete(model):
            link_tree(Path(start), model)
        write_json(config.output / "summary.json", _record(result))
        print_summary(result.stages, model)
    devices.wait_for_everyone()
    return result


def _devices(config: TrainConfig) -> PartialState:
    """Raises InputError for a device or a kind of launch that cannot be used."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda': there is none here; use device=cpu or auto")
    # said where there is no choice too: launched processes would otherwise not know of each other
    on_cpu = config.device == "cpu" or not torch.accelerator.is_available()
    require_supported_launch(on_cpu=on_cpu)
    return PartialState(cpu=on_cpu, timeout=_PATIENCE)


def _settings(config: TrainConfig) -> dict[str, object]:
    return {**config.settings(), "data_hashes": {stage.name: data_hash(stage.data) for stage in config.stages}}


def _record(summary: TrainSummary) -> dict[str, object]:
    return {
        "model": str(summary.model),
        "history": str(summary.history),
        "seconds": summary.seconds,
        "versions": {name: version(name) for name in LIBRARIES},
        "stages": [asdict(stage) for stage in summary.stages],
    }
