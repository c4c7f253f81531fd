"""`run_recipe`: the stages of a recipe in order, each from the checkpoint of the one before."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import PartialState

from vtalign.artifacts import claim_run_folder, write_json
from vtalign.config import dump_config
from vtalign.errors import GateNotMet, InputError
from vtalign.launch import PATIENCE
from vtalign.training.card import checkpoint_records, model_card, put_card, versions
from vtalign.training.checkpoints import is_complete, link_tree
from vtalign.training.config import PreferenceStage, TrainConfig
from vtalign.training.data import data_hash
from vtalign.training.gate import GateDecision, check_gates, decide, measure_before, not_met
from vtalign.training.prepare import StageData, read_stage_data
from vtalign.training.schedule import require_divisible
from vtalign.training.sharding import require_alike_rows, require_shardable, require_supported_launch
from vtalign.training.stage import StagePlace, StageSummary, finished, run_stage
from vtalign.training.tables import print_gate, print_plan, print_recipe, print_summary
from vtalign.training.trainable import require_adaptable


@dataclass(frozen=True)
class TrainSummary:
    """What a recipe did. `model` is the checkpoint folder that evaluation takes, `history` every logged point of every stage.

    `gates` holds what was decided after the stages (by name) that have one.
    """

    output: Path
    model: Path
    history: Path
    stages: tuple[StageSummary, ...]
    gates: Mapping[str, GateDecision]
    seconds: float


@dataclass(frozen=True)
class _Outcome:
    """How far the stages came. `kept`: the last one that no gate set aside; `error`: what the recipe ends with."""

    stages: list[StageSummary]
    gates: dict[str, GateDecision]
    kept: StageSummary | None
    error: GateNotMet | None


def run_recipe(config: TrainConfig) -> TrainSummary:
    """Run or resume `config`. Kill it at any moment and run it again: the result is that of an uninterrupted run.

    Raises InputError (paths, data and gates, before a model is loaded; an output folder of another run), RunFailed, and, after
    everything is written, GateNotMet where a gate stops the recipe or sets every stage aside.
    """
    began = time.monotonic()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    devices = _devices(config)
    sharding = require_supported_launch(on_cpu=devices.device.type == "cpu")
    data = [read_stage_data(config, stage) for stage in config.stages]
    for stage, rows in zip(config.stages, data, strict=True):
        require_alike_rows(rows.rows, stage, sharding)
        require_shardable(stage, sharding)
        require_divisible(stage.items_per_step, devices.num_processes)
    hashes = {stage.name: data_hash(stage.data) for stage in config.stages}
    if devices.is_main_process:
        require_adaptable(config)
        check_gates(config)
    with devices.main_process_first():
        claim_run_folder(config.output, {**config.settings(), "data_hashes": hashes}, "train")
    if devices.is_main_process:
        print_recipe(config, data)
    outcome = _run_stages(config, data, hashes, devices)
    model = _final_model(config, outcome)
    seconds = round(time.monotonic() - began, 1)
    if devices.is_main_process:
        _finish(config, outcome, model, hashes, seconds)
    devices.wait_for_everyone()
    if outcome.error is not None:
        raise outcome.error
    assert model is not None
    return TrainSummary(config.output, model, config.output / "history.jsonl", tuple(outcome.stages), outcome.gates, seconds)


def _run_stages(config: TrainConfig, data: Sequence[StageData], hashes: Mapping[str, str], devices: PartialState) -> _Outcome:
    stages: list[StageSummary] = []
    gates: dict[str, GateDecision] = {}
    start, anchor, kept = config.model, None, None
    records = checkpoint_records(config, dump_config(config), hashes)
    for stage, rows, folder in zip(config.stages, data, config.stage_folders, strict=True):
        summary = finished(folder)
        if summary is None:
            measure_before(config, stage, start, folder, devices)
            place = StagePlace(folder, start, tuple(done.name for done in stages), anchor, records)
            summary = run_stage(config, stage, rows, place, devices, print_plan)
        if isinstance(stage, PreferenceStage) and anchor is None:
            anchor = (start, summary.start_fingerprint)
        stages.append(summary)
        decision = decide(config, stage, start, summary.model, folder, devices)
        if decision is not None:
            gates[stage.name] = decision
            if devices.is_main_process:
                print_gate(stage, decision)
        if devices.is_main_process:
            _put_cards(config, stages, gates, hashes, folder)
        if decision is None or decision.met:
            start, kept = summary.model, summary
        elif not decision.sets_aside:
            return _Outcome(stages, gates, None, not_met(stage.name, decision, folder))
    error = None if kept is not None else GateNotMet(f"no stage met its gate: the model is still {config.model}")
    return _Outcome(stages, gates, kept, error)


def _final_model(config: TrainConfig, outcome: _Outcome) -> Path | None:
    """`output/model`, or the adapter where no merged model was to be saved; None where the recipe leaves neither."""
    if outcome.kept is None:
        return None
    left = Path(outcome.kept.model)
    return left if left.name == "adapter" else config.output / "model"


def _finish(config: TrainConfig, outcome: _Outcome, model: Path | None, hashes: Mapping[str, str], seconds: float) -> None:
    """What lies in the output folder at the end: the model with its card, and a summary."""
    if model == config.output / "model" and outcome.kept is not None:
        if not is_complete(model):
            link_tree(Path(outcome.kept.model), model)
        put_card(model, model_card(config, outcome.stages, outcome.gates, hashes, "model"))
    record = {
        "model": None if model is None else str(model),
        "history": str(config.output / "history.jsonl"),
        "seconds": seconds,
        "versions": versions(),
        "data_hashes": dict(hashes),
        "stages": [asdict(stage) for stage in outcome.stages],
        "gates": {name: asdict(decision) for name, decision in outcome.gates.items()},
        "ended_by": None if outcome.error is None else str(outcome.error),
    }
    write_json(config.output / "summary.json", record)
    print_summary(config, outcome.stages, outcome.gates, model)


def _put_cards(
    config: TrainConfig,
    stages: Sequence[StageSummary],
    gates: Mapping[str, GateDecision],
    hashes: Mapping[str, str],
    folder: Path,
) -> None:
    for kind in ("adapter", "model"):
        if is_complete(folder / kind):
            put_card(folder / kind, model_card(config, stages, gates, hashes, kind))


def _devices(config: TrainConfig) -> PartialState:
    """Raises InputError for a device or a kind of launch that cannot be used."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda': there is none here; use device=cpu or auto")
    # said where there is no choice too: launched processes would otherwise not know of each other
    on_cpu = config.device == "cpu" or not torch.accelerator.is_available()
    require_supported_launch(on_cpu=on_cpu)
    return PartialState(cpu=on_cpu, timeout=PATIENCE)
