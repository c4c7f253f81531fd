"""One stage of a recipe: from a checkpoint to the next checkpoint folder, resumable at any moment."""

import contextlib
import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel
from transformers import PrinterCallback, TrainerCallback, set_seed

from vtalign.artifacts import append_jsonl, write_json
from vtalign.errors import InputError
from vtalign.models.load import load_video_lm
from vtalign.models.video_lm import VideoLM
from vtalign.training.arguments import stage_arguments
from vtalign.training.checkpoints import MarkCheckpoint, RecordProvenance, last_complete, published
from vtalign.training.collator import BatchCollator, PairBatch, pair_batch, sft_batch
from vtalign.training.config import MovingReference, PreferenceStage, Stage, TrainConfig
from vtalign.training.data import PairExample
from vtalign.training.live_reference import FollowPolicy, LiveReference
from vtalign.training.logs import HistoryWriter, ProgressBar, read_history, tensorboard
from vtalign.training.objective import PreferenceObjective, SFTObjective
from vtalign.training.prepare import PreparedStage, StageData, prepare_stage, stage_seed
from vtalign.training.reference import Reference
from vtalign.training.sharding import plan_shards, require_supported_launch, whole_weights
from vtalign.training.stepzero import autocast, require_zero_margin
from vtalign.training.trainable import merged, prepare_trainable, save_adapter, trainable_count
from vtalign.training.trainer import StageTrainer
from vtalign.training.watch import Watch

RECORD, SUMMARY, CHECKPOINTS = "stage.json", "summary.json", "checkpoints"


@dataclass(frozen=True)
class StagePlace:
    """Where a stage stands in its recipe: its folder, the checkpoint it starts from, and the names of the stages before it.

    `anchor` is the (path, fingerprint) of the model that the recipe's first dpo stage started from; None until there was one.
    `records` are files (name to text) for every checkpoint of the stage.
    """

    folder: Path
    start: str
    earlier: tuple[str, ...]
    anchor: tuple[str, str] | None
    records: Mapping[str, str]


@dataclass(frozen=True)
class StageSummary:
    """What a stage did. `warnings` are what `watch` said, `metrics` means over the last tenth of the logged points;
    `start_fingerprint` is of `start`.

    `model` is the folder of the model that it left, or of the adapter where no merged model was to be saved.
    """

    name: str
    kind: str
    model: str
    steps: int
    examples: int
    seen: int
    skipped_videos: int
    skipped_examples: int
    scored_references: int
    trainable_parameters: int
    start: str
    start_fingerprint: str
    warnings: tuple[str, ...]
    metrics: dict[str, float]
    seconds: float


def finished(folder: Path) -> StageSummary | None:
    """The summary of a stage that ended; it is written last."""
    file = folder / SUMMARY
    return StageSummary(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def run_stage(
    config: TrainConfig,
    stage: Stage,
    data: StageData,
    place: StagePlace,
    devices: PartialState,
    announce: Callable[[Stage, PreparedStage, tuple[int, int], int], None],
) -> StageSummary:
    """Train `stage`, or go on where an earlier run of it was stopped. `announce` is told the plan before the first step.

    Raises InputError (the data is another than when the stage began), RunFailed (nothing to train on, a margin that is not zero
    at step 0, a loss that is not finite) and what loading the model raises.
    """
    began = time.monotonic()
    on_cpu = devices.device.type == "cpu"
    sharding = require_supported_launch(on_cpu=on_cpu)
    place.folder.mkdir(parents=True, exist_ok=True)
    loaded_dtype = config.dtype if stage.lora is not None else "float32"
    load = partial(
        load_video_lm,
        dtype=loaded_dtype,
        device=str(devices.device),
        trust_remote_code=config.trust_remote_code,
        positions=config.positions,
    )
    lm = load(place.start, quantize=stage.lora.quantize if stage.lora is not None else None)
    reference = _reference(stage, place, lm, load)
    asks_beside = isinstance(stage, PreferenceStage) and stage.asks_reference_beside
    prepared = prepare_stage(config, stage, data, lm, None if asks_beside else reference, place.folder, devices)
    resume = _claim(place.folder, stage, lm.fingerprint, prepared, sharding, devices)
    set_seed(stage_seed(config, stage))
    settings = dict(vars(lm.model.config))
    model = prepare_trainable(lm, stage, checkpointing=config.gradient_checkpointing)
    parameters = trainable_count(model)
    steps_done = int(resume.name.rpartition("-")[2]) if resume is not None else 0
    if devices.is_main_process:
        announce(stage, prepared, parameters, steps_done)
    collator = BatchCollator(lm.parts, prepared.source, pair_batch if isinstance(stage, PreferenceStage) else sft_batch)
    arithmetic = partial(autocast, devices.device, config.dtype)
    live = _live_reference(model, stage, reference, lm, arithmetic) if asks_beside else None
    if live is not None and live.moves is not None and resume is not None:
        live.load(resume)
    if reference is not None and live is None and reference.fingerprint == lm.fingerprint and resume is None:
        first = [prepared.examples[index] for index in prepared.plan.steps[0][0]]
        batch = collator(first)["batch"]
        assert isinstance(batch, PairBatch)
        require_zero_margin(model, batch, devices.device, config.dtype, stage.name)
    watch = Watch(stage.name)
    trainer = StageTrainer(
        model=model,
        args=stage_arguments(config, stage, prepared.plan, place.folder / CHECKPOINTS, on_cpu=on_cpu),
        plan=prepared.plan,
        objective=PreferenceObjective(stage, live) if isinstance(stage, PreferenceStage) else SFTObjective(),
        stop_at_margin=stage.stop_at_margin if isinstance(stage, PreferenceStage) else math.inf,
        examples=prepared.examples,
        data_collator=collator,
        callbacks=[
            *([FollowPolicy(live, _moves_at(prepared, live.moves))] if live is not None and live.moves is not None else []),
            watch,
            *_callbacks(config, stage, place, steps_done, devices),
        ],
    )
    trainer.remove_callback(PrinterCallback)
    plan_shards(trainer.accelerator, model, lm.parts.family)
    with _deterministic_on_cpu(devices.device):
        trainer.train(resume_from_checkpoint=str(resume) if resume is not None else None)
    if sharding == "none":
        trained = trainer.accelerator.unwrap_model(trainer.model)
    else:
        trained = _gathered(trainer, stage, partial(load, place.start, device="cpu"))
    if devices.is_main_process:
        # Trainer writes its `use_cache` into the model's config, and the checkpoint would generate without a cache ever after
        vars(trained.config).pop("use_cache", None)
        vars(trained.config).update({key: value for key, value in settings.items() if key == "use_cache"})
        _save(trained, lm, place, config, stage)
        summary = StageSummary(
            name=stage.name,
            kind=stage.kind,
            model=str(place.folder / ("model" if stage.save_model else "adapter")),
            steps=len(prepared.plan.steps),
            examples=len(prepared.examples),
            seen=prepared.plan.examples,
            skipped_videos=len(prepared.skipped),
            skipped_examples=sum(video.examples for video in prepared.skipped),
            scored_references=prepared.scored,
            trainable_parameters=parameters[0],
            start=place.start,
            start_fingerprint=lm.fingerprint,
            warnings=tuple(watch.warnings.values()),
            metrics=last_tenth(read_history(_history(config)), stage.name),
            seconds=round(time.monotonic() - began, 1),
        )
        write_json(place.folder / SUMMARY, asdict(summary))
    devices.wait_for_everyone()
    done = finished(place.folder)
    assert done is not None
    return done


def last_tenth(history: list[dict[str, Any]], stage: str) -> dict[str, float]:
    """Means of the logged numbers over the last tenth of a stage's points (at least one)."""
    rows = [row for row in history if row["stage"] == stage]
    rows = rows[-max(1, len(rows) // 10) :]
    names = [name for name in (rows[-1] if rows else {}) if name not in ("stage", "step", "epoch", "learning_rate")]
    return {name: math.fsum(row[name] for row in rows if name in row) / sum(name in row for row in rows) for name in names}


def _reference(stage: Stage, place: StagePlace, lm: VideoLM, load: Callable[[str], VideoLM]) -> Reference | None:
    if not isinstance(stage, PreferenceStage) or not stage.reads_reference:
        return None
    if stage.reference == "stage" or place.anchor is None or place.anchor[1] == lm.fingerprint:
        return Reference(lm.fingerprint, lambda: lm)
    path, fingerprint = place.anchor
    return Reference(fingerprint, lambda: load(path))


def _live_reference(
    model: Any,
    stage: Stage,
    reference: Reference | None,
    lm: VideoLM,
    arithmetic: Callable[[], contextlib.AbstractContextManager[None]],
) -> LiveReference:
    assert isinstance(stage, PreferenceStage) and reference is not None
    if reference.fingerprint == lm.fingerprint:
        return LiveReference(model, moves=stage.moving_reference)
    other = reference.load().model
    other.requires_grad_(False)
    return LiveReference(model, other=other, arithmetic=arithmetic)


def _moves_at(prepared: PreparedStage, moves: MovingReference) -> Collection[int]:
    """After which steps the reference moves: every so many, or before the first step of the next stage of the curriculum."""
    steps = prepared.plan.steps
    if moves.every != "curriculum_stage":
        return range(moves.every, len(steps) + 1, moves.every)
    examples = [example for example in prepared.examples if isinstance(example, PairExample)]
    reached = [max(examples[index].level for micro in step for index in micro) for step in steps]
    return {number for number, (one, following) in enumerate(pairwise(reached), 1) if one != following}


def _gathered(trainer: StageTrainer, stage: Stage, load: Callable[[], VideoLM]) -> Any:
    """The trained weights of all devices in a model of the main process, on the CPU; None elsewhere. All processes must call it."""
    weights = whole_weights(trainer)
    if weights is None:
        return None
    model = prepare_trainable(load(), stage, checkpointing=False)
    model.load_state_dict(weights)
    return model


def _claim(
    folder: Path, stage: Stage, fingerprint: str, prepared: PreparedStage, sharding: str, devices: PartialState
) -> Path | None:
    """The checkpoint to resume from, if any. Raises InputError where the stage began with another model, data or launch."""
    with devices.main_process_first():
        file = folder / RECORD
        record = {"start_fingerprint": fingerprint, "plan": prepared.identity, "sharding": sharding}
        if not file.is_file():
            _report_skipped(folder, stage, prepared)
            write_json(file, record)
        found = json.loads(file.read_text(encoding="utf-8"))
        changed = [name for name in record if found.get(name) != record[name]]
        if changed:
            what = {"start_fingerprint": "the model it starts from", "plan": "its data, videos or number of devices"}.get(
                changed[0], f"how weights are spread over devices ({found.get('sharding')} before, {sharding} now)"
            )
            raise InputError(f"{folder}: the stage cannot go on: {what} changed since it began; choose another output folder")
        return last_complete(folder / CHECKPOINTS)


def _report_skipped(folder: Path, stage: Stage, prepared: PreparedStage) -> None:
    file = folder / "skipped.jsonl"
    file.unlink(missing_ok=True)
    append_jsonl(file, (asdict(video) for video in prepared.skipped))


def _callbacks(
    config: TrainConfig, stage: Stage, place: StagePlace, steps_done: int, devices: PartialState
) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = [
        RecordProvenance(place.records),
        MarkCheckpoint(),
        HistoryWriter(_history(config), stage.name, list(place.earlier)),
        ProgressBar(stage.name),
    ]
    if "tensorboard" in config.report_to and devices.is_main_process:
        callbacks.append(tensorboard(config.output / "tensorboard" / place.folder.name, steps_done))
    if "wandb" in config.report_to and devices.is_main_process:
        from transformers.integrations import WandbCallback

        callbacks.append(WandbCallback())
    return callbacks


def _save(model: Any, lm: VideoLM, place: StagePlace, config: TrainConfig, stage: Stage) -> None:
    """The adapter, and the complete checkpoint as `model` (unless it is not wanted), each in one rename."""
    if isinstance(model, PeftModel):
        with published(place.folder / "adapter") as folder:
            save_adapter(model, folder, place.start)
    if not stage.save_model:
        return
    if stage.lora is not None and stage.lora.quantize is not None:
        # the weights in memory are rounded to 4 bits; the adapter belongs on the whole ones
        whole = load_video_lm(
            place.folder / "adapter",
            dtype=config.dtype,
            device="cpu",
            trust_remote_code=config.trust_remote_code,
            policy=lm.policy,
            positions=lm.positions,
        )
    else:
        weight = stage.lora.merge_weight if stage.lora is not None else 1.0
        whole = VideoLM(merged(model, config.dtype, weight), lm.processor, lm.policy, positions=lm.positions)
    with published(place.folder / "model") as folder:
        whole.save(folder)


@contextlib.contextmanager
def _deterministic_on_cpu(device: torch.device) -> Iterator[None]:
    """Gathers add up their gradients in one order, so that the same run gives the same bytes with several threads too."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _history(config: TrainConfig) -> Path:
    return config.output / "history.jsonl"
