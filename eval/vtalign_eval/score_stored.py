"""Grading stored replies of any benchmark: the same metrics and files as `eval run`, without a model."""

from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console

from vtalign.artifacts import claim_run_folder, remove_leftovers, write_json
from vtalign.errors import InputError
from vtalign.ids import file_hash
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.fail_under import check_gate
from vtalign_eval.judging.judge import open_judge
from vtalign_eval.judging.outcomes import graded_outcomes
from vtalign_eval.outcomes import samples_file, write_samples
from vtalign_eval.reply import Reply
from vtalign_eval.report.attempt import attempt
from vtalign_eval.report.evaluation import report_run
from vtalign_eval.results import RESULTS, results_of
from vtalign_eval.stored_replies import read_stored_replies
from vtalign_eval.tables import print_results

if TYPE_CHECKING:
    from vtalign_eval.score import ScoreConfig


def score_stored(config: "ScoreConfig", benchmark: Benchmark, console: Console) -> dict[str, Any]:
    """Grade the replies in the file `config.predictions`. A question without a reply is wrong; what is missing is counted.

    Raises InputError, and GateNotMet after everything is written.
    """
    if not config.predictions.is_file():
        raise InputError(f"{config.predictions}: no such file; {benchmark.name} is scored from one JSONL file of replies")
    items = benchmark.items(config.data)
    judge = open_judge(config.judge, benchmark)
    asked = [item for item in items if judge is not None or item.task not in benchmark.judged_tasks]
    stored = read_stored_replies(config.predictions, asked)
    data = {"questions": len(items), "question_files": benchmark.file_hashes(config.data), "videos": None}
    hashes = {config.predictions.name: file_hash(config.predictions)}
    settings = config.model_dump(mode="json", exclude={"out", "judge", "fail_under", "fail_on"})
    claim_run_folder(config.out, {**settings, "data_hashes": data, "prediction_hashes": hashes}, "eval score")
    replies = [stored.replies.get(item.question_id) for item in asked]
    judged = None if judge is None else judge.judge(asked, replies, config.out, console)
    outcomes = graded_outcomes(asked, [Reply(reply) for reply in replies], benchmark, judged)
    record = {
        "benchmark": benchmark.name,
        "config": {"model": str(config.predictions), **settings},
        "control": "none",
        "max_new_tokens": None,
        "data": data,
        "prediction_files": hashes,
        "predictions": stored.counts,
        "frame_policy": None,
        "model_fingerprint": None,
    }
    if judged is not None:
        record["judge"] = judged.summary()
    results = results_of(outcomes, benchmark, config.seed, record)
    write_samples(config.out / samples_file(benchmark.name), outcomes, benchmark)
    benchmark.export(config.out, asked, replies, judged)
    write_json(config.out / RESULTS, results)
    remove_leftovers(config.out)
    print_results(console, results)
    attempt(console, config.out, partial(report_run, config.out))
    for name, note in _NOTES.items():
        if stored.counts[name]:
            console.print(f"{stored.counts[name]} {note}", highlight=False)
    check_gate(config.fail_under, config.fail_on, config.out, results)
    return results


_NOTES = {
    "missing": "questions have no reply and count as wrong",
    "null": "replies are null and count as wrong",
    "unknown": "replies are about no question of the benchmark and count as nothing",
}
