"""All that a stage decides before its first step: which examples are left, their reference, and what every step sees."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import PartialState

from vtalign.errors import RunFailed
from vtalign.ids import seed_from, stable_id
from vtalign.models.requests import FrameSource
from vtalign.models.video_lm import VideoLM
from vtalign.training.config import DPOStage, SFTStage, Stage, TrainConfig
from vtalign.training.data import Conversation, PairExample, SFTExample, read_conversations, read_pair_examples
from vtalign.training.footage import SkippedVideo, VideoFolder, require_folder
from vtalign.training.loads import estimated_load, tokens_per_slot
from vtalign.training.order import curriculum_order
from vtalign.training.reference import Reference, with_reference
from vtalign.training.schedule import StepPlan, epochs_in_random_order, examples_wanted, plan_steps


@dataclass(frozen=True)
class StageData:
    """What the file of a stage holds, read and checked before any model is loaded. `several`: rows of more than one exchange."""

    rows: Sequence[PairExample] | Sequence[Conversation]
    several: int = 0


@dataclass(frozen=True)
class PreparedStage:
    """`scored`: pairs whose reference had to be computed. `identity`: a hash of all that decides the steps but the weights."""

    examples: list[PairExample] | list[SFTExample]
    source: FrameSource
    plan: StepPlan
    skipped: list[SkippedVideo]
    scored: int
    identity: str


def read_stage_data(config: TrainConfig, stage: Stage) -> StageData:
    """Raises InputError where a file, its rows or the videos folder cannot be used."""
    if isinstance(stage, DPOStage):
        require_folder(config.videos_of(stage), stage.name)
        return StageData(read_pair_examples(stage, config.seed))
    conversations, several = read_conversations(stage)
    if any(row.videos for row in conversations):
        require_folder(config.videos_of(stage), stage.name)
    return StageData(conversations, several)


def prepare_stage(
    config: TrainConfig,
    stage: Stage,
    data: StageData,
    lm: VideoLM,
    reference: Reference | None,
    folder: Path,
    devices: PartialState,
) -> PreparedStage:
    """Decode, score, order. The main process works first; the others find its results on disk.

    Raises RunFailed where no example is left.
    """
    per_slot = tokens_per_slot(lm.policy, lm.parts.geometry)
    with devices.main_process_first():
        videos = VideoFolder(
            root=config.videos_of(stage) or Path(),
            policy=lm.policy,
            cache=config.frames_folder,
            workers=config.decode_workers,
            show_progress=devices.is_main_process,
        )
        if isinstance(stage, DPOStage):
            pairs = [row for row in data.rows if isinstance(row, PairExample)]
            source, kept, skipped = videos.read_pairs(pairs)
            _require_some(kept, skipped, stage)
            assert reference is not None
            pairs, scored = with_reference(
                kept,
                reference,
                source,
                folder / "reference.parquet",
                batch_size=2 * stage.micro_batch,
                show_progress=devices.is_main_process,
            )
            return _planned_pairs(config, stage, pairs, source, skipped, scored, per_slot, devices.num_processes)
        conversations = [row for row in data.rows if isinstance(row, Conversation)]
        source, rows, skipped = videos.read_conversations(conversations)
        _require_some(rows, skipped, stage)
        return _planned_rows(config, stage, rows, source, skipped, per_slot, devices.num_processes)


def stage_seed(config: TrainConfig, stage: Stage) -> int:
    """32 bits from the recipe's seed and the stage's name, not its place: a stage that two recipes share runs alike in both."""
    return seed_from("stage", config.seed, stage.name) % 2**32


def _planned_pairs(
    config: TrainConfig,
    stage: DPOStage,
    pairs: list[PairExample],
    source: FrameSource,
    skipped: list[SkippedVideo],
    scored: int,
    per_slot: float,
    devices: int,
) -> PreparedStage:
    wanted = examples_wanted(len(pairs), stage.pairs_per_step, epochs=stage.epochs, max_steps=stage.max_steps)
    order, levels = curriculum_order(pairs, stage.curriculum, wanted, stage_seed(config, stage), per_step=stage.pairs_per_step)
    pairs = [replace(pair, level=level) for pair, level in zip(pairs, levels, strict=True)]
    plan = _plan(order, pairs, stage, per_slot, devices)
    identity = stable_id("stage", [pair.id for pair in pairs], [pair.swapped for pair in pairs], plan.steps)
    return PreparedStage(pairs, source, plan, skipped, scored, identity)


def _planned_rows(
    config: TrainConfig,
    stage: SFTStage,
    rows: list[SFTExample],
    source: FrameSource,
    skipped: list[SkippedVideo],
    per_slot: float,
    devices: int,
) -> PreparedStage:
    wanted = examples_wanted(len(rows), stage.rows_per_step, epochs=stage.epochs, max_steps=stage.max_steps)
    plan = _plan(epochs_in_random_order(len(rows), wanted, stage_seed(config, stage)), rows, stage, per_slot, devices)
    identity = stable_id("stage", [row.id for row in rows], plan.steps)
    return PreparedStage(rows, source, plan, skipped, 0, identity)


def _plan(
    order: list[int], examples: Sequence[PairExample | SFTExample], stage: Stage, per_slot: float, devices: int
) -> StepPlan:
    loads = [estimated_load(example.prompt, _responses(example), per_slot) for example in examples]
    return plan_steps(order, loads, per_step=stage.items_per_step, micro_batch=stage.micro_batch, devices=devices)


def _responses(example: PairExample | SFTExample) -> tuple[str, ...]:
    return (example.chosen, example.rejected) if isinstance(example, PairExample) else (example.response,)


def _require_some(kept: Sequence[object], skipped: Sequence[SkippedVideo], stage: Stage) -> None:
    if not kept:
        first = skipped[0]
        why = f"{first.video}: {first.reason}: {first.detail}"
        raise RunFailed(f"stage '{stage.name}': none of its {len(skipped)} videos can be read (first: {why})")
