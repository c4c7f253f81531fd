"""Stored predictions of TempCompass, task by task, with its published figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from vtalign.errors import InputError
from vtalign.ids import file_hash
from vtalign_eval.judging import Judged
from vtalign_eval.tempcompass.figures import task_figures
from vtalign_eval.tempcompass.files import write_own_layout
from vtalign_eval.tempcompass.grading import grade_replies
from vtalign_eval.tempcompass.predictions import Predictions, prediction_file
from vtalign_eval.tempcompass.questions import CAPTIONING, TASKS, TempCompassItem, load_questions
from vtalign_eval.tempcompass.stored import read_stored, stored_files
from vtalign_eval.tempcompass.table import print_figures


@dataclass(frozen=True)
class StoredTempCompass:
    """The tasks that are scored, in order. `not_scored`: task -> why it has no figures; `chosen`: whether the user named the tasks."""

    predictions: Path
    questions: int
    by_task: dict[str, tuple[TempCompassItem, ...]]
    read: dict[str, Predictions]
    hashes: dict[str, str]
    not_scored: dict[str, str]
    chosen: bool

    @cached_property
    def items(self) -> tuple[TempCompassItem, ...]:
        return tuple(item for asked in self.by_task.values() for item in asked)

    @cached_property
    def replies(self) -> tuple[str | None, ...]:
        return tuple(self._given.get(item.question_id) for item in self.items)

    @cached_property
    def _given(self) -> dict[str, str | None]:
        return {name: reply for read in self.read.values() for name, reply in read.replies.items()}

    def require_whole(self) -> None:
        """Raises InputError where a task that rules grade is not scored, unless the user named the tasks: a gate on what happens to be
        there is passed by leaving out what is hard."""
        lacking = {task: reason for task, reason in self.not_scored.items() if task != CAPTIONING}
        if lacking and not self.chosen:
            reasons = "; ".join(f"{task}: {reason}" for task, reason in lacking.items())
            raise InputError(
                f"{self.predictions}: fail_under needs every task that rules grade, but of these are not scored: {reasons} "
                f"(tasks=[{','.join(self.by_task)}] holds these alone to it)"
            )

    def export(self, out: Path, judged: Judged | None) -> dict[str, Any]:
        graded = {task: grade_replies(asked, self._given, judged) for task, asked in self.by_task.items()}
        figures = {task: task_figures(graded[task], judged, self.read[task]) for task in self.by_task}
        write_own_layout(out, graded, figures, judged=judged is not None)
        return {"tempcompass": figures, "not_scored": self.not_scored}

    def print(self, console: Console, results: dict[str, Any]) -> None:
        found = results["vtalign"]
        title = f"TempCompass, per cent: {escape(str(self.predictions))}"
        print_figures(console, title, found["tempcompass"], tuple(self.not_scored))
        _print_groups(console, found.get("tasks", {}))
        for task, reason in self.not_scored.items():
            console.print(f"{task}: not scored: {reason}", markup=False, soft_wrap=True)


def stored_tempcompass(data: Path, predictions: Path, tasks: Sequence[str] | None = None) -> StoredTempCompass:
    """Every task whose questions and predictions are there, or the `tasks` that are named. Raises InputError.

    A JSONL file of ours is of all tasks that rules grade: one that none of its rows names was asked and not answered.
    """
    items = load_questions(data)
    asked = {task: found for task in TASKS if (found := tuple(item for item in items if item.task == task))}
    files = stored_files(predictions)
    not_scored = {}
    for task in TASKS:
        if tasks is not None and task not in tasks:
            not_scored[task] = f"only {', '.join(tasks)} was asked for (tasks)"
        elif task not in asked:
            not_scored[task] = "the data folder has no questions"
        elif task not in files:
            absent = f"{predictions.name} has none of" if predictions.is_file() else f"no {prediction_file(task)} among"
            not_scored[task] = f"{absent} the predictions"
    for task in tasks or ():
        if task not in TASKS:
            raise InputError(f"tasks: '{task}' is no task of TempCompass (known: {', '.join(TASKS)})")
        if task in not_scored:
            raise InputError(f"tasks: {task} cannot be scored: {not_scored[task]}")
    scored = [task for task in TASKS if task not in not_scored]
    if not scored:
        raise InputError(f"{data}: has no questions of {', '.join(files)}, which {predictions} answers")
    return StoredTempCompass(
        predictions=predictions,
        questions=len(items),
        by_task={task: asked[task] for task in scored},
        read={task: read_stored(files[task], asked[task]) for task in scored},
        hashes={task: file_hash(files[task]) for task in scored},
        not_scored=not_scored,
        chosen=tasks is not None,
    )


def _print_groups(console: Console, tasks: dict[str, Any]) -> None:
    """What time is worth: the same question asked of siblings whose answers differ."""
    for task, metrics in tasks.items():
        if "strict" in metrics:
            strict, same = metrics["strict"], metrics["same_answer_rate"]
            bounds = "no interval" if strict["ci95"] is None else "{:.1f} to {:.1f}".format(*(100 * x for x in strict["ci95"]))
            console.print(
                f"{task}: all siblings right in {100 * strict['value']:.1f} % of {strict['n']} conflict groups "
                f"({bounds}), the same answer to all in {100 * same['value']:.1f} %",
                highlight=False,
            )
