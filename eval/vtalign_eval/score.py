"""`run_score`: grade stored predictions, of TempCompass with its published figures. No model is read and torch is not imported."""

from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field
from rich.console import Console
from rich.markup import escape

from vtalign.artifacts import claim_run_folder, remove_leftovers, write_json
from vtalign.config import Config
from vtalign.errors import InputError
from vtalign.ids import file_hash
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.benchmarks.tempcompass import TEMPCOMPASS
from vtalign_eval.fail_under import check_gate
from vtalign_eval.judging import JudgeConfig
from vtalign_eval.judging.judge import open_judge
from vtalign_eval.judging.outcomes import graded_outcomes
from vtalign_eval.outcomes import samples_file, write_samples
from vtalign_eval.reply import Reply
from vtalign_eval.report.attempt import attempt
from vtalign_eval.report.evaluation import report_run
from vtalign_eval.results import RESULTS, results_of
from vtalign_eval.score_stored import score_stored
from vtalign_eval.tempcompass.figures import task_figures
from vtalign_eval.tempcompass.files import write_own_layout
from vtalign_eval.tempcompass.grading import grade_replies
from vtalign_eval.tempcompass.predictions import prediction_file
from vtalign_eval.tempcompass.questions import TASKS, TempCompassItem, load_questions
from vtalign_eval.tempcompass.stored import read_stored, stored_files
from vtalign_eval.tempcompass.table import print_figures


class ScoreConfig(Config):
    """Stored predictions of one model. Paths are relative to the working directory."""

    benchmark: str = Field("tempcompass", description="the benchmark that the predictions answer")
    data: Path = Field(description="folder of the benchmark's questions")
    predictions: Path = Field(description="one model's <task>.json, lmms-eval's samples, or JSONL rows {question_id, reply}")
    out: Path = Field(description="an empty folder, or one with the same scores")
    judge: JudgeConfig | None = Field(
        None, description="who is asked what no rule grades, such as `judge.server.url=.. judge.server.model=..`; default: nobody"
    )
    seed: int = Field(0, ge=0, description="of the bootstrap")
    fail_under: float | None = Field(None, ge=0, le=1, description="exit code 3 where `fail_on` is below this fraction")
    fail_on: str = Field("temporal", min_length=1, description="what fail_under holds: a metric of results.json")


def run_score(config: ScoreConfig, console: Console | None = None) -> dict[str, Any]:
    """Grade stored predictions; of TempCompass, every task whose questions and predictions are there. Returns the results.

    Leaves in `config.out`: `tempcompass.json`, the published figures by task; `results.json` and `samples_tempcompass.jsonl` as
    `eval run` does, which `eval compare` reads; the page `report.html`; and predictions and graded results in
    TempCompass's own layout. Captions without a judge have no figure. With one, `judge.jsonl` keeps its verdicts. Raises
    InputError, RunFailed where the judge stopped answering, and GateNotMet after everything is written.
    """
    console = console or Console()
    benchmark = find_benchmark(config.benchmark)
    if not config.data.is_dir():
        raise InputError(f"{config.data}: no such data folder")
    if benchmark is not TEMPCOMPASS:
        return score_stored(config, benchmark, console)
    items = load_questions(config.data)
    by_task = {task: found for task in TASKS if (found := [item for item in items if item.task == task])}
    files = stored_files(config.predictions)
    given = tuple(files)
    tasks = [task for task in given if task in by_task]
    if not tasks:
        raise InputError(f"{config.data}: has no questions of {', '.join(given)}, which {config.predictions} answers")
    read = {task: read_stored(files[task], by_task[task]) for task in tasks}
    hashes = {task: file_hash(files[task]) for task in tasks}
    data = {"questions": len(items), "question_files": benchmark.file_hashes(config.data), "videos": None}
    settings = config.model_dump(mode="json", exclude={"out", "judge", "fail_under", "fail_on"})
    judge = open_judge(config.judge, benchmark)
    judged_by = None if judge is None else {"name": judge.name, "prompt_hash": judge.prompt_hash}
    claim_run_folder(config.out, {**settings, "data_hashes": data, "prediction_hashes": hashes, "judge": judged_by}, "eval score")

    asked = [item for task in tasks for item in by_task[task]]
    replies = {name: reply for task in tasks for name, reply in read[task].replies.items()}
    said = [replies.get(item.question_id) for item in asked]
    judged = None if judge is None else judge.judge(asked, said, config.out, console)
    graded = {task: grade_replies(by_task[task], replies, judged) for task in tasks}
    figures = {task: task_figures(graded[task], judged, read[task]) for task in tasks}
    write_own_layout(config.out, graded, figures, judged=judged is not None)
    outcomes = graded_outcomes(asked, [Reply(reply) for reply in said], benchmark, judged)
    not_scored = _not_scored(given, by_task)
    record = {
        "benchmark": benchmark.name,
        "config": {"model": str(config.predictions), **settings},
        "control": "none",
        "max_new_tokens": None,
        "data": data,
        "prediction_files": hashes,
        "frame_policy": None,
        "model_fingerprint": None,
        "tempcompass": figures,
        "not_scored": not_scored,
    }
    if judged is not None:
        record["judge"] = judged.summary()
    results = results_of(outcomes, benchmark, config.seed, record)
    write_samples(config.out / samples_file(benchmark.name), outcomes, benchmark)
    write_json(config.out / RESULTS, results)
    remove_leftovers(config.out)
    print_figures(console, f"TempCompass, per cent: {escape(str(config.predictions))}", figures)
    _print_groups(console, results["vtalign"].get("tasks", {}))
    for task, reason in not_scored.items():
        console.print(f"{task}: not scored: {reason}", markup=False)
    attempt(console, config.out, partial(report_run, config.out))
    check_gate(config.fail_under, config.fail_on, config.out, results)
    return results


def _not_scored(given: tuple[str, ...], by_task: dict[str, list[TempCompassItem]]) -> dict[str, str]:
    """Task -> why it has no figures."""
    found = {}
    for task in TASKS:
        if task not in by_task:
            found[task] = "the data folder has no questions"
        elif task not in given:
            found[task] = f"no {prediction_file(task)} among the predictions"
    return found


def _print_groups(console: Console, tasks: dict[str, Any]) -> None:
    """What time is worth: the same question asked of siblings whose answers differ."""
    for task, metrics in tasks.items():
        if "strict" in metrics:
            strict, same = metrics["strict"], metrics["same_answer_rate"]
            low, high = strict["ci95"] or (strict["value"], strict["value"])
            console.print(
                f"{task}: all siblings right in {100 * strict['value']:.1f} % of {strict['n']} conflict groups "
                f"({100 * low:.1f} to {100 * high:.1f}), the same answer to all in {100 * same['value']:.1f} %",
                highlight=False,
            )
