"""Outcomes of a run: what a rule grades, and with a judge what only a judge can grade."""

from collections.abc import Sequence

from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.grade import Grade
from vtalign_eval.items import Item
from vtalign_eval.judging.question import Judged
from vtalign_eval.outcomes import Outcome, outcome_of
from vtalign_eval.reply import Reply


def graded_outcomes(
    items: Sequence[Item], replies: Sequence[Reply], benchmark: Benchmark, judged: Judged | None = None
) -> list[Outcome]:
    """Outcomes in the order of `items`, whose `replies` these are. Items that no rule can grade are among them with a judge only."""
    outcomes = []
    for item, reply in zip(items, replies, strict=True):
        only_judged = item.task in benchmark.judged_tasks
        if only_judged and judged is None:
            continue
        grade = Grade(None, False, None, False) if only_judged else benchmark.grade(reply.text, item)
        right = None if judged is None else grade.correct or judged.accepts(item.question_id)
        outcomes.append(outcome_of(item, reply, grade, right))
    return outcomes
