"""`run_score`: grade stored predictions, of TempCompass with its published figures. No model is read and torch is not imported."""

from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field
from rich.console import Console

from vtalign.artifacts import claim_run_folder, remove_leftovers, write_json
from vtalign.config import Config
from vtalign.errors import InputError
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
from vtalign_eval.score_stored import Stored, stored_rows
from vtalign_eval.tempcompass.score_stored import stored_tempcompass


class ScoreConfig(Config):
    """Stored predictions of one model. Paths are relative to the working directory."""

    benchmark: str = Field("tempcompass", description="the benchmark that the predictions answer")
    data: Path = Field(description="folder of the benchmark's questions")
    predictions: Path = Field(description="one model's <task>.json, lmms-eval's samples, or JSONL rows {question_id, reply}")
    out: Path = Field(description="an empty folder, or one with the same scores")
    tasks: tuple[str, ...] | None = Field(
        None, min_length=1, description="of TempCompass, the tasks to score alone; default: all, and a gate wants all by rule"
    )
    judge: JudgeConfig | None = Field(
        None, description="who is asked what no rule grades, such as `judge.server.url=.. judge.server.model=..`; default: nobody"
    )
    seed: int = Field(0, ge=0, description="of the bootstrap")
    fail_under: float | None = Field(None, ge=0, le=1, description="exit code 3 where `fail_on` is below this fraction")
    fail_on: str = Field("temporal", min_length=1, description="what fail_under holds: a metric of results.json")

    def settings(self) -> dict[str, Any]:
        """What decides the figures by rule. A judge may be added to what is scored, or changed: results name the one they are of."""
        return self.model_dump(mode="json", exclude={"out", "judge", "fail_under", "fail_on"})


def run_score(config: ScoreConfig, console: Console | None = None) -> dict[str, Any]:
    """Grade stored predictions. A question without a reply is wrong; what is missing is counted. Returns the results.

    Leaves in `config.out`: `results.json` and `samples_<benchmark>.jsonl` as `eval run` does, which `eval compare` reads; the page
    `report.html`; and files of the benchmark's own, of TempCompass predictions and graded results in its layout and
    `tempcompass.json`, the published figures by task. Captions without a judge have no figure. With one, `judge.jsonl` keeps its
    verdicts. Raises InputError (also for a gate where a task that rules grade was not scored), RunFailed where the judge stopped
    answering, and GateNotMet after everything is written.
    """
    console = console or Console()
    benchmark = find_benchmark(config.benchmark)
    if not config.data.is_dir():
        raise InputError(f"{config.data}: no such data folder")
    judge = open_judge(config.judge, benchmark)
    stored: Stored
    if benchmark is TEMPCOMPASS:
        stored = stored_tempcompass(config.data, config.predictions, config.tasks)
        if config.fail_under is not None:
            stored.require_whole()
    elif config.tasks:
        raise InputError(f"tasks: {benchmark.name} is scored as a whole; leave tasks out")
    else:
        stored = stored_rows(benchmark, config.data, config.predictions, with_judge=judge is not None)
    data = {"questions": stored.questions, "question_files": benchmark.file_hashes(config.data), "videos": None}
    settings = config.settings()
    claim_run_folder(config.out, {**settings, "data_hashes": data, "prediction_hashes": stored.hashes}, "eval score")

    judged = None if judge is None else judge.judge(stored.items, stored.replies, config.out, console)
    outcomes = graded_outcomes(stored.items, [Reply(reply) for reply in stored.replies], benchmark, judged)
    record = {
        "benchmark": benchmark.name,
        "config": {"model": str(config.predictions), **settings},
        "control": "none",
        "max_new_tokens": None,
        "data": data,
        "prediction_files": stored.hashes,
        "frame_policy": None,
        "model_fingerprint": None,
        **stored.export(config.out, judged),
    }
    if judged is not None:
        record["judge"] = judged.summary()
    results = results_of(outcomes, benchmark, config.seed, record)
    write_samples(config.out / samples_file(benchmark.name), outcomes, benchmark)
    write_json(config.out / RESULTS, results)
    remove_leftovers(config.out)
    stored.print(console, results)
    attempt(console, config.out, partial(report_run, config.out))
    check_gate(config.fail_under, config.fail_on, config.out, results)
    return results
