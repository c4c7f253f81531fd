"""`tempcompass`: TempCompass's four tasks. Captions are asked and kept; only a judge can grade them."""

from collections.abc import Sequence
from pathlib import Path

from vtalign_eval.benchmarks.benchmark import Benchmark
from vtalign_eval.items import Item
from vtalign_eval.judging import Judged
from vtalign_eval.tempcompass.figures import task_figures
from vtalign_eval.tempcompass.files import write_own_layout
from vtalign_eval.tempcompass.grading import grade, grade_replies
from vtalign_eval.tempcompass.judge_prompts import JUDGING
from vtalign_eval.tempcompass.questions import (
    ASPECTS,
    CAPTIONING,
    LAYOUT,
    MULTI_CHOICE,
    QUESTION_FILES,
    SUFFIXES,
    TASKS,
    YES_NO,
    TempCompassItem,
    load_questions,
    missing_files,
)


def export(out: Path, items: Sequence[Item], replies: Sequence[str | None], judged: Judged | None = None) -> None:
    """The run in TempCompass's own layout: for its leaderboard, and for `eval score` with another judge."""
    said = {item.question_id: reply for item, reply in zip(items, replies, strict=True)}
    ours = [item for item in items if isinstance(item, TempCompassItem)]
    by_task = {task: [item for item in ours if item.task == task] for task in TASKS}
    graded = {task: grade_replies(asked, said, judged) for task, asked in by_task.items() if asked}
    write_own_layout(out, graded, {task: task_figures(here, judged) for task, here in graded.items()}, judged is not None)


def spellings(option: str, task: str) -> tuple[str, ...]:
    """Replies that the published rules read as `option`: those that its models write (its predictions folder)."""
    if task == YES_NO:
        return option, f"{option}.", option.capitalize(), f"{option.capitalize()}."
    if task == MULTI_CHOICE:
        return option[0], option
    head = option.split(": ")[0]
    return head.rpartition(" ")[2], head, option


TEMPCOMPASS = Benchmark(
    name="tempcompass",
    load=load_questions,
    question_files=QUESTION_FILES,
    grade=grade,
    temporal_aspects=ASPECTS,
    suffixes=SUFFIXES,
    judged_tasks=(CAPTIONING,),
    judging=JUDGING,
    spellings=spellings,
    missing=missing_files,
    layout=LAYOUT,
    export=export,
    # the published Qwen2-VL run
    max_new_tokens=128,
)
