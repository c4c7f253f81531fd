"""What a person reads before, between and after the stages of a recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vtalign.training.config import GateSettings, PreferenceStage, Stage, TrainConfig
from vtalign.training.curriculum import describe
from vtalign.training.gate import GateDecision
from vtalign.training.loss_settings import DPOTerm, RRPOTerm, Term, VDPOTerm
from vtalign.training.prepare import PreparedStage, StageData
from vtalign.training.stage import StageSummary

_SHOWN_SKIPS = 5


def print_recipe(config: TrainConfig, data: Sequence[StageData]) -> None:
    """The recipe as given: its stages and their data."""
    table = Table(title=f"recipe: {escape(config.model)} -> {escape(str(config.output))}", title_justify="left")
    for heading in ("stage", "kind", "data", "rows", "trains", "learning rate", "loss"):
        table.add_column(heading)
    for stage, rows in zip(config.stages, data, strict=True):
        table.add_row(
            stage.name,
            stage.kind,
            escape(str(stage.data)),
            f"{len(rows.rows):,}",
            describe_parts(stage),
            f"{stage.learning_rate:g}",
            describe_loss(stage),
        )
    console = Console()
    console.print(table)
    for stage, rows in zip(config.stages, data, strict=True):
        if rows.several:
            console.print(f"{stage.name}: {rows.several:,} rows of several exchanges were split, one exchange a row")
        if rows.view_pairs:
            console.print(f"{stage.name}: {rows.view_pairs:,} pairs that differ in their views only are left to kind: vdpo")
        if stage.gate is not None:
            console.print(f"{stage.name}: gate: {_gate(stage.gate)}", markup=False, highlight=False)


def print_plan(stage: Stage, prepared: PreparedStage, parameters: tuple[int, int], steps_done: int) -> None:
    """One stage before its first step; every video that is left out is a line."""
    console = Console()
    unit = "pairs" if isinstance(stage, PreferenceStage) else "rows"
    for video in prepared.skipped[:_SHOWN_SKIPS]:
        why = f"{video.reason}: {video.detail}"
        console.print(f"{stage.name}: skipped {video.video} ({video.examples} {unit}): {why}", markup=False, highlight=False)
    if len(prepared.skipped) > _SHOWN_SKIPS:
        console.print(f"{stage.name}: and {len(prepared.skipped) - _SHOWN_SKIPS} videos more (skipped.jsonl)", markup=False)
    plan = prepared.plan
    parts = [
        f"{len(plan.steps):,} steps of {stage.items_per_step} {unit}",
        f"{len(prepared.examples):,} {unit}, {plan.examples / len(prepared.examples):.3g} passes",
        f"{parameters[0]:,} of {parameters[1]:,} parameters",
    ]
    if plan.accumulation > 1 or plan.devices > 1:
        parts.append(f"{plan.accumulation} micro-batches on {plan.devices} device(s)")
    if isinstance(stage, PreferenceStage):
        parts.append(f"reference: {_reference(stage, prepared)}")
    if steps_done:
        parts.append(f"resumed at step {steps_done:,}")
    console.print(f"{stage.name}: {'; '.join(parts)}", markup=False, highlight=False)


def print_summary(
    config: TrainConfig, stages: Sequence[StageSummary], gates: Mapping[str, GateDecision], model: Path | None
) -> None:
    """Where every stage ended, and where the weights are (`model`; None where the recipe leaves none)."""
    set_aside = {name for name, decision in gates.items() if decision.sets_aside}
    ended = f"trained: {escape(str(model))}" if model is not None else "trained: no model"
    table = Table(title=ended, title_justify="left")
    for heading in ("stage", "steps", "seen", "skipped", "loss", "margin", "accuracy", "NLL", "seconds"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in stages:
        numbers = [stage.metrics.get(name) for name in ("loss", "rewards/margins", "rewards/accuracies", "sft_loss")]
        table.add_row(
            stage.name + (" (set aside)" if stage.name in set_aside else ""),
            f"{stage.steps:,}",
            f"{stage.seen:,}",
            f"{stage.skipped_examples:,}",
            *("" if number is None else f"{number:.3f}" for number in numbers),
            f"{stage.seconds:.0f}",
        )
    console = Console()
    console.print(table)
    if model is not None and model.name == "adapter":
        merge = f"load_video_lm('{model}', dtype='{config.dtype}').save('{model.with_name('model')}')"
        text = f"an adapter alone (save_model=false); to merge it: from vtalign import load_video_lm; {merge}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_gate(stage: Stage, decision: GateDecision) -> None:
    Console().print(f"{stage.name}: gate: {decision}: {decision.verdict}", markup=False, highlight=False)


def describe_parts(stage: Stage) -> str:
    """What a stage trains."""
    if stage.lora is None:
        return ", ".join(stage.trainable).replace("_", " ")
    weight = f", merged at {stage.lora.merge_weight:g}" if stage.lora.merge_weight != 1 else ""
    return ", ".join(stage.trainable).replace("_", " ") + f" (LoRA r={stage.lora.r}{weight})"


def describe_loss(stage: Stage) -> str:
    """What a stage minimises, and in which order it meets its data."""
    if not isinstance(stage, PreferenceStage):
        return "NLL"
    sft = [f"{stage.sft_weight:g} NLL(chosen)"] if stage.sft_weight else []
    labels = ", random labels" if stage.labels == "random" else ""
    return f"{' + '.join([*map(_term, stage.terms), *sft])}, {describe(stage.curriculum)}{labels}"


def _reference(stage: PreferenceStage, prepared: PreparedStage) -> str:
    if not stage.reads_reference:
        return "none"
    if stage.moving_reference is not None:
        every = stage.moving_reference.every
        return f"follows the policy every {'stage of the curriculum' if isinstance(every, str) else f'{every:,} steps'}"
    if stage.reads_distributions:
        return "asked beside the policy"
    return f"{prepared.scored:,} pairs scored" if prepared.scored else "the scores of the pairs"


def _term(term: Term) -> str:
    weight = "" if term.weight == 1 else f"{term.weight:g} "
    if isinstance(term, DPOTerm):
        kind = "DPO" if term.loss == "sigmoid" else term.loss
        return f"{weight}{kind}(beta={term.beta:g})"
    if isinstance(term, RRPOTerm):
        return f"{weight}RRPO(beta={term.beta:g}, alpha={term.alpha:g})"
    if isinstance(term, VDPOTerm):
        return f"{weight}VDPO(beta={term.beta:g}{f', anchor={term.anchor:g}' if term.anchor else ''})"
    return f"{weight}{term.entry_point}"


def _gate(gate: GateSettings) -> str:
    bars = [f"at least {gate.at_least:g} %"] if gate.at_least is not None else []
    bars += [f"at most {gate.may_fall:g} points below the model before the stage"] if gate.may_fall is not None else []
    otherwise = "the recipe stops" if gate.then == "stop" else "the stage is set aside"
    return f"{gate.metric} of {gate.benchmark} {' and '.join(bars)}, otherwise {otherwise}"
