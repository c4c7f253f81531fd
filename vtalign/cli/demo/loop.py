"""One seed of the demo: corpus, pairs, arms, evaluations. Every step resumes; running it again repeats nothing that is done."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from vtalign.artifacts import write_atomic
from vtalign.cli.demo.arms import CHOSEN, Arm, Sources, build_arms, write_recipe
from vtalign.cli.demo.config import DemoConfig
from vtalign.cli.demo.jobs import Command, Job, run_jobs
from vtalign.config import validate_config
from vtalign.ids import stable_id
from vtalign.preference.schema import read_pairs
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.synth import write_corpus

BENCHMARK = "temporal-shapes"


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
    console.rule(f"seed {seed.number}: preference pairs")
    build = {
        **config.build,
        "videos": str(seed.corpus / "train" / "videos"),
        "model": str(model),
        "out": str(seed.pairs),
        "seed": seed.number,
        "frame_cache": str(seed.folder / "frames"),
    }
    run_build(validate_config(BuildConfig, build, "demo build"))
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
    if CHOSEN in names:
        write_chosen_rows(sources.pairs, sources.chosen_rows)
    arms = build_arms(config, sources, tuple(names))
    console.rule(f"seed {seed.number}: training and evaluation of {len(arms)} arms, {at_a_time} at a time")
    jobs = [_job(config, model, seed, arm) for arm in arms]
    # The longest first, so that no core waits for a late one.
    run_jobs(sorted(jobs, key=lambda job: -sum(command.total for command in job.commands)), at_a_time=at_a_time)
    return arms


def write_chosen_rows(pairs: Path, path: Path) -> None:
    """The chosen responses as SFT rows, one per pair, so that they are met as often as DPO meets them."""
    rows = []
    for pair in read_pairs(pairs):
        turns = [{"from": "human", "value": f"<video>\n{pair.prompt}"}, {"from": "gpt", "value": pair.chosen}]
        rows.append({"id": stable_id("chosen", pair.pair_id), "video": pair.video, "conversations": turns})
    write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows))


def _job(config: DemoConfig, model: Path, seed: Seed, arm: Arm) -> Job:
    commands = []
    evaluated = model
    if arm.recipe is not None:
        recipe = seed.folder / "recipes" / f"{arm.name}.yaml"
        recipe.parent.mkdir(parents=True, exist_ok=True)
        write_recipe(arm, recipe)
        out = seed.training(arm.name)
        commands.append(Command(("train", str(recipe)), "steps", (out / "history.jsonl",), arm.steps))
        evaluated = out / "model"
    data, out = seed.corpus / config.split, seed.evaluation(arm.name)
    questions = (data / "questions.jsonl").read_bytes().count(b"\n")
    arguments = ["eval", "run", "--model", str(evaluated), "--benchmark", BENCHMARK, "--data", str(data), "--out", str(out)]
    arguments += ["device=cpu", f"frame_cache={seed.folder / 'frames'}"]
    commands.append(Command(tuple(arguments), "questions", (out / "predictions.jsonl",), questions))
    return Job(arm.name, tuple(commands), seed.folder / "logs" / f"{arm.name}.log")
