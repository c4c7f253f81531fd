"""`run_eval`: one model on one benchmark, from questions to `results.json`. Stopped at any moment, it goes on from there."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vtalign.artifacts import claim_run_folder, remove_leftovers, write_json
from vtalign.config import validate_config
from vtalign.errors import InputError, RunFailed
from vtalign.models.load import load_video_lm
from vtalign.models.video_lm import VideoLM
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.sample import FramePolicy
from vtalign_eval.benchmarks import Benchmark, find_benchmark
from vtalign_eval.config import Control, EvalConfig
from vtalign_eval.fail_under import check_gate
from vtalign_eval.gains import gains_over
from vtalign_eval.items import Item, take
from vtalign_eval.outcomes import Outcome, outcome_of, samples_file, write_samples
from vtalign_eval.predict import PREDICTIONS, Question, Reply, ReplyLog, predict, question_key
from vtalign_eval.results import RESULTS, results_of
from vtalign_eval.tables import print_results
from vtalign_eval.views import ShownVideos, hash_of_all, show, video_hashes

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


def run_eval(config: EvalConfig, console: Console | None = None) -> dict[str, Any]:
    """Answer, grade and measure. Returns the results and leaves `results.json`, `samples_<benchmark>.jsonl` and `timing.json`.

    `config.controls` are run first, each in `out/controls/<name>`; the results then hold `gains`. Prints a table to `console`
    (default: standard output). Raises InputError for input that cannot be used, RunFailed where no video could be read, and,
    after everything is written, GateNotMet where `config.fail_on` is below `config.fail_under`.
    """
    console = console or Console()
    asked = _read(config)
    _claim(config, asked)
    load = cache(partial(load_for_eval, config))
    controls: dict[str, list[Outcome]] = {}
    for control in config.controls:
        under = config.under(control)
        _claim(under, asked.under(control))
        _, controls[control] = _run(under, asked.under(control), load(), {}, console)
    results, _ = _run(config, asked, load(), controls, console)
    check_gate(config.fail_under, config.fail_on, config.out, results)
    return results


def _read(config: EvalConfig) -> _Asked:
    benchmark = find_benchmark(config.benchmark)
    if not config.data.is_dir():
        raise InputError(f"{config.data}: no such data folder")
    loaded = benchmark.items(config.data)
    items = take(loaded, config.limit)
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
    config: EvalConfig, asked: _Asked, lm: VideoLM, controls: Mapping[str, Sequence[Outcome]], console: Console
) -> tuple[dict[str, Any], list[Outcome]]:
    """One run in its own folder. `controls`: the outcomes under each control, which the gains are measured against."""
    benchmark = asked.benchmark
    questions = _questions(config, benchmark, asked.items, asked.hashes, lm)
    log = ReplyLog(config.out / PREDICTIONS)
    log.require_only(questions, config.model)
    started = time.monotonic()
    pending = _unanswered(questions, log)
    failed = _answer(config, lm, pending, log, console) if pending else {}
    replies = log.replies | failed
    outcomes = _graded(questions, replies, benchmark)
    if outcomes and all(outcome.failure is not None for outcome in outcomes):
        raise RunFailed(f"{config.data}: not one of its videos could be read (first: {outcomes[0].video}: {outcomes[0].failure})")
    record = {
        "benchmark": benchmark.name,
        "config": config.model_dump(mode="json", exclude={"out"}),
        "control": config.control,
        "max_new_tokens": questions[0].max_new_tokens,
        "data": asked.data,
        "frame_policy": lm.policy.model_dump(mode="json"),
        "model_fingerprint": lm.fingerprint,
    }
    if controls:
        record["gains"] = {name: gains_over(outcomes, shown, benchmark, config.seed) for name, shown in controls.items()}
    results = results_of(outcomes, benchmark, config.seed, record)
    write_samples(config.out / samples_file(benchmark.name), outcomes, benchmark)
    benchmark.export(config.out, asked.items, [replies[question.key].text for question in questions])
    write_json(config.out / TIMING, {"seconds": time.monotonic() - started, "answered": len(pending), "device": str(lm.device)})
    write_json(config.out / RESULTS, results)
    remove_leftovers(config.out)
    print_results(console, results)
    return results, outcomes


def load_for_eval(config: EvalConfig) -> VideoLM:
    """The model under its own frame policy with what `config.frames` changes."""
    lm = load_video_lm(
        config.model,
        dtype=config.dtype,
        device=config.device,
        trust_remote_code=config.trust_remote_code,
        positions=config.positions,
    )
    if not config.frames:
        return lm
    policy = validate_config(FramePolicy, lm.policy.model_dump() | config.frames, "frames")
    return VideoLM(lm.model, lm.processor, policy, positions=lm.positions, name=config.model)


def _questions(
    config: EvalConfig, benchmark: Benchmark, items: tuple[Item, ...], hashes: dict[str, str | None], lm: VideoLM
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


def _unanswered(questions: list[Question], log: ReplyLog) -> list[Question]:
    """One question of each key that has no reply: without video, siblings are asked the same thing, and it is asked once."""
    found: dict[str, Question] = {}
    for question in questions:
        if question.key not in log.replies:
            found.setdefault(question.key, question)
    return list(found.values())


def _answer(config: EvalConfig, lm: VideoLM, pending: list[Question], log: ReplyLog, console: Console) -> dict[str, Reply]:
    """Answer what is pending into `log`. Returns the failed replies, by key."""
    failed: dict[str, Reply] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    videos = sorted({question.item.video for question in pending})
    # bars belong to the terminal, not into a file that the table is sent to
    bar_console = Console(stderr=True, quiet=console.quiet)
    with Progress(*columns, console=bar_console) as bars, DecodeWorkers(config.decode_workers, config.decode) as workers:
        looking = bars.add_task("videos", total=len(videos))
        asking = bars.add_task("questions", total=len(pending))

        def on_batch(questions: Sequence[Question], replies: Sequence[Reply]) -> None:
            log.add(questions, replies)
            failed.update({q.key: reply for q, reply in zip(questions, replies, strict=True) if reply.text is None})
            bars.advance(asking, len(questions))

        def on_video(count: int) -> None:
            bars.advance(looking, count)

        shown = show(config.data, videos, lm.policy, config.control, config.seed, workers, on_video)
        store = frame_store(config, shown, lm.policy, workers)
        predict(lm, pending, shown, store, config.batch_size, on_batch)
    return failed


def frame_store(config: EvalConfig, shown: ShownVideos, policy: FramePolicy, workers: DecodeWorkers) -> FrameStore:
    return FrameStore(config.data, shown.paths, policy, reader=config.reader, workers=workers, cache=config.frame_cache)


def _graded(questions: list[Question], replies: dict[str, Reply], benchmark: Benchmark) -> list[Outcome]:
    """Outcomes of what a rule can grade."""
    by_rule = [question for question in questions if question.item.task not in benchmark.judged_tasks]
    return [outcome_of(q.item, replies[q.key], benchmark.grade(replies[q.key].text, q.item)) for q in by_rule]
