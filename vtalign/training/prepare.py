"""All that a stage decides before its first step: which examples are left, their reference, and what every step sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import PartialState

from vtalign.errors import InputError, RunFailed
from vtalign.ids import seed_from, stable_id
from vtalign.losses import find_loss
from vtalign.models.requests import FrameSource
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import Scores
from vtalign.training.config import PreferenceStage, SFTStage, Stage, StageSettings, TrainConfig
from vtalign.training.conversations import Conversation, read_conversations
from vtalign.training.data import PairExample, SFTExample, count_view_pairs, in_lists, read_pair_examples
from vtalign.training.footage import SkippedVideo, VideoFolder, require_folder
from vtalign.training.loads import estimated_load, tokens_per_slot
from vtalign.training.loss_settings import CustomTerm
from vtalign.training.order import curriculum_order, require_difficulties
from vtalign.training.reference import Reference, with_reference
from vtalign.training.rescore import own_scores
from vtalign.training.schedule import Load, StepPlan, epochs_in_random_order, examples_wanted, plan_steps


@dataclass(frozen=True)
class StageData:
    """What the file of a stage holds, read and checked before any model is loaded. `several`: rows of more than one exchange;
    `view_pairs`: pairs that are left out because they differ in their views only."""

    rows: Sequence[PairExample] | Sequence[Conversation]
    several: int = 0
    view_pairs: int = 0


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
    if isinstance(stage, PreferenceStage):
        for term in stage.terms:
            if isinstance(term, CustomTerm):
                find_loss(term.entry_point, term.settings)
        pairs = read_pair_examples(stage, config.seed)
        if any(pair.views for pair in pairs):
            require_folder(config.videos_of(stage), stage.name)
        require_difficulties(pairs, stage.curriculum)
        units = len(in_lists(pairs)) if stage.listwise else len(pairs)
        if isinstance(stage.curriculum.stages, int) and stage.curriculum.stages > units:
            raise InputError(f"stage '{stage.name}': curriculum.stages {stage.curriculum.stages} are more than its {units} pairs")
        return StageData(pairs, view_pairs=count_view_pairs(stage))
    assert isinstance(stage, SFTStage)
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
    """Decode, score (with a `reference` whose log-probs the stage keeps), order. The main process works first; the others find its
    results on disk.

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
        if isinstance(stage, PreferenceStage):
            pairs = [row for row in data.rows if isinstance(row, PairExample)]
            curriculum = stage.curriculum
            needs_perturbed = curriculum.rescore and "divergence" in curriculum.weights
            source, kept, skipped = videos.read_pairs(pairs, with_perturbed=needs_perturbed)
            _require_some(kept, skipped, stage)
            pairs, scored = kept, 0
            if reference is not None:
                pairs, scored = with_reference(
                    kept,
                    reference,
                    source,
                    folder / "reference.parquet",
                    batch_size=2 * stage.micro_batch,
                    show_progress=devices.is_main_process,
                )
            scores = None
            if curriculum.rescore:
                scores = own_scores(
                    [pair.pair for pair in pairs],
                    lm,
                    source,
                    folder / "difficulty.parquet",
                    divergence=needs_perturbed,
                    batch_size=2 * stage.micro_batch,
                    show_progress=devices.is_main_process,
                )
            if stage.listwise:
                pairs = in_lists(pairs)
            pairs, plan = _planned_pairs(config, stage, pairs, scores, per_slot, devices.num_processes)
            identity = stable_id("stage", [pair.id for pair in pairs], [pair.swapped for pair in pairs], plan.steps)
            return PreparedStage(pairs, source, plan, skipped, scored, identity)
        assert isinstance(stage, SFTStage)
        conversations = [row for row in data.rows if isinstance(row, Conversation)]
        source, rows, skipped = videos.read_conversations(conversations)
        _require_some(rows, skipped, stage)
        return _planned_rows(config, stage, rows, source, skipped, per_slot, devices.num_processes)


def stage_seed(config: TrainConfig, stage: StageSettings) -> int:
    """32 bits from the recipe's seed and the stage's name, not its place: a stage that two recipes share runs alike in both."""
    return seed_from("stage", config.seed, stage.name) % 2**32


def _planned_pairs(
    config: TrainConfig,
    stage: PreferenceStage,
    pairs: list[PairExample],
    scores: Mapping[str, Scores] | None,
    per_slot: float,
    devices: int,
) -> tuple[list[PairExample], StepPlan]:
    """The pairs with their curriculum stage, and what every step sees."""
    wanted = examples_wanted(len(pairs), stage.pairs_per_step, epochs=stage.epochs, max_steps=stage.max_steps)
    seed = stage_seed(config, stage)
    order, levels = curriculum_order(pairs, stage.curriculum, wanted, seed, per_step=stage.pairs_per_step, scores=scores)
    planned = [
        replace(pair, level=level, more=tuple(replace(other, level=level) for other in pair.more))
        for pair, level in zip(pairs, levels, strict=True)
    ]
    return planned, _plan(order, planned, stage, per_slot, devices)


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
    order: list[int], examples: Sequence[PairExample | SFTExample], stage: StageSettings, per_slot: float, devices: int
) -> StepPlan:
    loads = [_load(example, per_slot) for example in examples]
    return plan_steps(order, loads, per_step=stage.items_per_step, micro_batch=stage.micro_batch, devices=devices)


def _load(example: PairExample | SFTExample, per_slot: float) -> Load:
    if isinstance(example, SFTExample):
        return estimated_load([example.prompt], [example.response], per_slot)
    read = [side for pair in example.pairs for side in pair.sides.values()]
    prompts, said = zip(*read, strict=True)
    return estimated_load(list(dict.fromkeys(prompts)), list(dict.fromkeys(said)), per_slot)


def _require_some(kept: Sequence[object], skipped: Sequence[SkippedVideo], stage: Stage) -> None:
    if not kept:
        first = skipped[0]
        why = f"{first.video}: {first.reason}: {first.detail}"
        raise RunFailed(f"stage '{stage.name}': none of its {len(skipped)} videos can be read (first: {why})")
