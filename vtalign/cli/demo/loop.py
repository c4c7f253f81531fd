"""One seed of the demo: corpus, pairs, arms, evaluations. Every step resumes; running it again repeats nothing that is done."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from vtalign.artifacts import write_atomic
from vtalign.cli.demo.arms import Arm, Sources, build_arms
from vtalign.cli.demo.config import DemoConfig
from vtalign.cli.demo.jobs import Command, Job, run_jobs
from vtalign.config import Config, dump_config, validate_config
from vtalign.ids import stable_id
from vtalign.preference.schema import read_pairs
from vtalign_data.config import BuildConfig
from vtalign_data.synth import write_corpus

BENCHMARK = "temporal-shapes"
STAGES_OF_BUILD = 11


@dataclass(frozen=True)
class Seed:
    """Where the parts of one seed lie."""

    folder: Path
    number: int

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus"

    @property
    def pairs(self) -> Path:
        return self.folder / "pairs"

    def training(self, arm: str) -> Path:
        return self.folder / "arms" / arm

    def evaluation(self, arm: str) -> Path:
        return self.folder / "eval" / arm

    def results(self, arm: str) -> dict[str, Any]:
        """`results.json` of an arm."""
        found: dict[str, Any] = json.loads((self.evaluation(arm) / "results.json").read_text(encoding="utf-8"))
        return found


def run_seed(config: DemoConfig, model: Path, seed: Seed, names: Sequence[str], at_a_time: int, console: Console) -> list[Arm]:
    """Everything of one seed but the report. Raises RunFailed naming the log of a command that fails."""
    console.rule(f"seed {seed.number}: corpus")
    write_corpus(seed.corpus, config.videos, seed.number)
    sources = Sources(
        model=model,
        videos=seed.corpus / "train" / "videos",
        pairs=seed.pairs / "pairs",
        sft_rows=seed.corpus / "train" / "sft.jsonl",
        chosen_rows=seed.folder / "chosen.jsonl",
        output=seed.folder / "arms",
        frames=seed.folder / "frames",
        seed=seed.number,
    )
    arms = build_arms(config, sources, tuple(names))
    without_pairs = [arm for arm in arms if not arm.needs_pairs]
    console.rule(f"seed {seed.number}: preference pairs, and the arms that need none")
    run_jobs([_build_job(config, sources, seed), *_jobs(config, model, seed, without_pairs)], at_a_time=at_a_time)
    _print_build(console, seed)
    write_chosen_rows(sources.pairs, sources.chosen_rows)
    console.rule(f"seed {seed.number}: the arms that train on pairs")
    run_jobs(_jobs(config, model, seed, [arm for arm in arms if arm.needs_pairs]), at_a_time=at_a_time)
    return arms


def write_chosen_rows(pairs: Path, path: Path) -> None:
    """The chosen responses as SFT rows, one per pair, so that they are met as often as DPO meets them."""
    rows = []
    for pair in read_pairs(pairs):
        turns = [{"from": "human", "value": f"<video>\n{pair.prompt}"}, {"from": "gpt", "value": pair.chosen}]
        rows.append({"id": stable_id("chosen", pair.pair_id), "video": pair.video, "conversations": turns})
    write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows))


def _print_build(console: Console, seed: Seed) -> None:
    summary = json.loads((seed.pairs / "summary.json").read_text(encoding="utf-8"))
    console.print(f"{summary['pairs']} pairs in {summary['groups']} groups; what was filtered is in {seed.pairs / 'report.html'}")


def _build_job(config: DemoConfig, sources: Sources, seed: Seed) -> Job:
    settings = {
        **config.build,
        "videos": str(sources.videos),
        "model": str(sources.model),
        "out": str(seed.pairs),
        "seed": seed.number,
        "frame_cache": str(sources.frames),
        "device": "cpu",
    }
    path = seed.folder / "recipes" / "build.yaml"
    _write_config(validate_config(BuildConfig, settings, "demo build"), path)
    progress = seed.pairs / "stages"
    return Job(
        "pairs", (Command(("data", "build", str(path)), "stages", progress, STAGES_OF_BUILD),), seed.folder / "logs" / "build.log"
    )


def _jobs(config: DemoConfig, model: Path, seed: Seed, arms: Sequence[Arm]) -> list[Job]:
    """The longest first, so that no core waits for a late one."""
    return [_arm_job(config, model, seed, arm) for arm in sorted(arms, key=lambda arm: -arm.steps)]


def _arm_job(config: DemoConfig, model: Path, seed: Seed, arm: Arm) -> Job:
    commands = []
    evaluated = model
    if arm.recipe is not None:
        recipe, out = seed.folder / "recipes" / f"{arm.name}.yaml", seed.training(arm.name)
        _write_config(arm.recipe, recipe)
        commands.append(Command(("train", str(recipe)), "steps", out / "history.jsonl", arm.steps))
        evaluated = out / "model"
    data, out = seed.corpus / config.split, seed.evaluation(arm.name)
    questions = (data / "questions.jsonl").read_bytes().count(b"\n")
    arguments = ["eval", "run", "--model", str(evaluated), "--benchmark", BENCHMARK, "--data", str(data), "--out", str(out)]
    arguments += ["device=cpu", f"frame_cache={seed.folder / 'frames'}"]
    commands.append(Command(tuple(arguments), "questions", out / "predictions.jsonl", questions))
    return Job(arm.name, tuple(commands), seed.folder / "logs" / f"{arm.name}.log")


def _write_config(config: Config, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, dump_config(config))
