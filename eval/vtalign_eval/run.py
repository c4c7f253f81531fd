"""`run_eval`: one model on one benchmark, from questions to `results.json`. Stopped at any moment, it goes on from there."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from rich.console import Console

from vtalign.artifacts import claim_run_folder, remove_leftovers, write_json
from vtalign.errors import InputError, RunFailed
from vtalign.launch import Ranks, join_ranks
from vtalign_eval.answerer import Answerer, load_answerer, nothing_answered
from vtalign_eval.answering import answer
from vtalign_eval.benchmarks import Benchmark, find_benchmark
from vtalign_eval.config import Control, EvalConfig
from vtalign_eval.fail_under import check_gate, require_measured
from vtalign_eval.gains import gains_over
from vtalign_eval.items import Item, take
from vtalign_eval.judging.judge import Judge, open_judge
from vtalign_eval.judging.outcomes import graded_outcomes
from vtalign_eval.likelihood import undecided
from vtalign_eval.outcomes import Outcome, samples_file, write_samples
from vtalign_eval.predict import Question, question_key
from vtalign_eval.report.attempt import attempt
from vtalign_eval.report.evaluation import report_run
from vtalign_eval.report.stored import write_hashes
from vtalign_eval.results import RESULTS, results_of
from vtalign_eval.tables import print_results
from vtalign_eval.views import hash_of_all, video_hashes

TIMING = "timing.json"


@dataclass(frozen=True)
class _Asked:
    """What is asked, read and hashed: the same for a run and its controls. `hashes`: of the videos, by path."""

    benchmark: Benchmark
    items: tuple[Item, ...]
    data: dict[str, Any]
    hashes: dict[str, str | None]

    def under(self, control: Control) -> "_Asked":
        """Without video, what the files hold does not matter."""
        return replace(self, data={**self.data, "videos": None}, hashes={}) if control == "text" else self


def run_eval(config: EvalConfig, console: Console | None = None, ranks: Ranks | None = None) -> dict[str, Any]:
    """Answer, grade and measure. Returns the results and leaves `results.json`, `samples_<benchmark>.jsonl`, `timing.json` and
    the page `report.html`.

    `config.controls` are run first, each in `out/controls/<name>`; the results then hold `gains`. Prints a table to `console`
    (default: standard output). Raises InputError for input that cannot be used, RunFailed where no video could be read, and,
    after everything is written, GateNotMet where `config.fail_on` is below `config.fail_under`.

    Each of several `ranks` (default: those of the launch) answers its share of the videos; the first one prepares, measures and
    prints, and all return the results.
    """
    ranks = ranks or join_ranks(config.device)
    console = (console or Console()) if ranks.is_main else Console(quiet=True)
    if not ranks.is_main:
        ranks.wait()  # what cannot be read is said once
    asked = _read(config)
    judge = open_judge(config.judge, asked.benchmark) if ranks.is_main else None
    if ranks.is_main:
        _claim(config, asked)
        for control in config.controls:
            _claim(config.under(control), asked.under(control))
        ranks.wait()
    load = cache(partial(load_answerer, config.model_copy(update={"device": ranks.device})))
    controls: dict[str, list[Outcome]] = {}
    for control in config.controls:
        finished = _run(config.under(control), asked.under(control), load(), {}, judge, console, ranks)
        if finished is not None:
            controls[control] = finished[1]
    finished = _run(config, asked, load(), controls, judge, console, ranks)
    ranks.wait()
    if finished is None:
        return dict(json.loads((config.out / RESULTS).read_text(encoding="utf-8")))
    check_gate(config.fail_under, config.fail_on, config.out, finished[0])
    return finished[0]


def _read(config: EvalConfig) -> _Asked:
    benchmark = find_benchmark(config.benchmark)
    if not config.data.is_dir():
        raise InputError(f"{config.data}: no such data folder")
    loaded = benchmark.items(config.data)
    items = take(loaded, config.limit)
    if config.fail_under is not None:
        require_measured(config, benchmark, items)
    without_video = config.control == "text"
    hashes = {} if without_video else video_hashes(config.data, [item.video for item in items])
    data = {
        "questions": len(loaded),
        "question_files": benchmark.file_hashes(config.data),
        "videos": None if without_video else hash_of_all(hashes),
    }
    return _Asked(benchmark, items, data, hashes)


def _claim(config: EvalConfig, asked: _Asked) -> None:
    claim_run_folder(config.out, {**config.settings(), "data_hashes": asked.data}, "eval run")


def _run(
    config: EvalConfig,
    asked: _Asked,
    lm: Answerer,
    controls: Mapping[str, Sequence[Outcome]],
    judge: Judge | None,
    console: Console,
    ranks: Ranks,
) -> tuple[dict[str, Any], list[Outcome]] | None:
    """One run in its own folder. `controls`: the outcomes under each control, which the gains are measured against.

    None on all ranks but the first, which have done their share.
    """
    benchmark = asked.benchmark
    questions = _questions(config, benchmark, asked.items, asked.hashes, lm)
    started = time.monotonic()
    answers = answer(config, benchmark, questions, lm, judge, console, ranks)
    if answers is None:
        return None
    said = answers.replies
    judged = None if judge is None else judge.judge(asked.items, [reply.text for reply in said], config.out, console)
    outcomes = graded_outcomes(asked.items, said, benchmark, judged)
    if answers.likelihoods:
        outcomes = answers.likelihoods.added_to(outcomes, questions)
    if outcomes and all(outcome.failure is not None for outcome in outcomes):
        raise RunFailed(nothing_answered(config, outcomes, said))
    record = {
        "benchmark": benchmark.name,
        "config": config.model_dump(mode="json", exclude={"out"}),
        "control": config.control,
        "max_new_tokens": questions[0].max_new_tokens,
        "data": asked.data,
        "frame_policy": lm.policy.model_dump(mode="json"),
        "model_fingerprint": lm.fingerprint,
    }
    if judged is not None:
        record["judge"] = judged.summary()
    if answers.likelihoods:
        record["likelihood"] = {"normalisation": "none", "undecided": undecided(outcomes)}
    if controls:
        record["gains"] = {name: gains_over(outcomes, shown, benchmark, config.seed) for name, shown in controls.items()}
    results = results_of(outcomes, benchmark, config.seed, record)
    write_samples(config.out / samples_file(benchmark.name), outcomes, benchmark)
    benchmark.export(config.out, asked.items, [reply.text for reply in said], judged)
    write_json(config.out / TIMING, {"seconds": time.monotonic() - started, "answered": answers.new, "device": str(lm.device)})
    write_hashes(config.out, asked.hashes)
    write_json(config.out / RESULTS, results)
    remove_leftovers(config.out)
    print_results(console, results)
    attempt(console, config.out, partial(report_run, config.out))
    return results, outcomes


def _questions(
    config: EvalConfig, benchmark: Benchmark, items: tuple[Item, ...], hashes: dict[str, str | None], lm: Answerer
) -> list[Question]:
    longest = config.max_new_tokens or benchmark.max_new_tokens
    made = []
    for item in items:
        text = benchmark.prompt(item.question, item.task)
        # a file that cannot be read has no hash; its failure is not that of another one
        content = (hashes[item.video] or f"unread {item.video}") if hashes else None
        key = question_key(lm.fingerprint, text, content, config.control, config.seed, longest)
        made.append(Question(key, item, text, longest))
    return made
