"""The published figures: per cent of a task, of each aspect and sub-aspect, with one decimal (`utils/eval_utils.py:print_result`)."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from vtalign_eval.judging import Judged
from vtalign_eval.tempcompass.grading import Graded
from vtalign_eval.tempcompass.predictions import Predictions
from vtalign_eval.tempcompass.questions import ASPECTS, CAPTIONING, MULTI_CHOICE, SUB_ASPECTS, YES_NO

Right = Callable[[Graded], bool]


def task_figures(graded: Sequence[Graded], judged: Judged | None = None, read: Predictions | None = None) -> dict[str, Any]:
    """All figures of one task: `rule`, `lenient` and (with a judge) `judged`, each {avg, aspects, sub_aspects}; counts; biases.

    A caption has a judge's figures alone; without a judge the task has none and says `needs_judge`. `avg` is the mean over
    questions. `read` says what was wrong with the file of predictions.
    """
    captioning = graded[0].item.task == CAPTIONING
    figures: dict[str, Any] = {}
    if not captioning:
        figures["match_rate"] = percent(sum(g.matched for g in graded), len(graded))
        figures["rule"] = accuracies(graded, lambda g: g.correct_by_rule)
        figures["lenient"] = accuracies(graded, lambda g: g.correct_leniently)
    if judged is not None:
        figures["judged"] = accuracies(graded, lambda g: g.correct)
        figures["judge"] = judged.judge
    elif captioning:
        figures["needs_judge"] = True
    figures["counts"] = _counts(graded, read)
    if not captioning:
        figures["replies"] = _replies(graded)
    return figures


def accuracies(graded: Sequence[Graded], right: Right) -> dict[str, Any]:
    """{avg, aspects, sub_aspects}, each figure {accuracy (per cent, one decimal), correct, total}."""
    aspects = {aspect: [g for g in graded if g.item.aspect == aspect] for aspect in ASPECTS}
    kinds = {kind: [g for g in graded if g.item.sub_aspect == kind] for kind in _kinds(graded)}
    return {
        "avg": _figure(graded, right),
        "aspects": {aspect: _figure(here, right) for aspect, here in aspects.items() if here},
        "sub_aspects": {kind: _figure(here, right) for kind, here in kinds.items() if here},
    }


def percent(count: int, total: int) -> float:
    return round(100 * count / total, 1)


def _figure(graded: Sequence[Graded], right: Right) -> dict[str, Any]:
    correct = sum(right(g) for g in graded)
    return {"accuracy": percent(correct, len(graded)), "correct": correct, "total": len(graded)}


def _kinds(graded: Sequence[Graded]) -> list[str]:
    """Sub-aspects in the published order, then any that a newer meta_info.json has."""
    found = {g.item.sub_aspect for g in graded if g.item.sub_aspect is not None}
    return [kind for kind in SUB_ASPECTS if kind in found] + sorted(found - set(SUB_ASPECTS))


def _counts(graded: Sequence[Graded], read: Predictions | None) -> dict[str, int]:
    captioning = graded[0].item.task == CAPTIONING
    counts = {
        "questions": len(graded),
        "null": sum(g.reply is None and not g.is_missing for g in graded),
        "missing": sum(g.is_missing for g in graded),
    }
    if not captioning:
        counts["unmatched"] = sum(g.reply is not None and not g.matched for g in graded)
        counts["unparsable_leniently"] = sum(g.reply is not None and g.lenient_choice is None for g in graded)
    counts["judged"] = sum(g.verdict is not None for g in graded)
    counts["judge_failed"] = sum(g.verdict is not None and g.verdict.correct is None for g in graded)
    if read is not None:
        counts |= {"unknown": read.unknown, "reworded": read.reworded, "other_answer": read.other_answer}
    return counts


def _replies(graded: Sequence[Graded]) -> dict[str, Any]:
    """How often each option was chosen, in both readings: a model that always says yes shows here."""
    strict = Counter(_mark(None if g.match is None else g.match.choice, g) for g in graded)
    lenient = Counter(_mark(g.lenient_choice, g) for g in graded)
    found: dict[str, Any] = {"rule": dict(sorted(strict.items())), "lenient": dict(sorted(lenient.items()))}
    if graded[0].item.task == YES_NO:
        for name, counts in (("rule", strict), ("lenient", lenient)):
            readable = counts["yes"] + counts["no"]
            found[f"yes_rate_{name}"] = percent(counts["yes"], readable) if readable else None
    return found


def _mark(choice: str | None, graded: Graded) -> str:
    """`B`, `yes` or `Caption A`; `none` where no option was read."""
    if choice is None:
        return "none"
    return choice[:1] if graded.item.task == MULTI_CHOICE else choice.partition(": ")[0]
