"""What is measured: every metric is a column of unit values, a unit being a question or a conflict group.

Accuracy counts exact readings and keeps every question in the denominator: no reply, an unparsable one or an unreadable video is
wrong. The headline is strict accuracy, which counts conflict groups in which every sibling's question is right: who ignores time
answers all siblings the same and scores exactly 0. Beside it stands how often all siblings got the same answer.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.outcomes import Outcome
from vtalign_eval.statistics import Column, column

Key = tuple[str, ...]
"""("metrics", name), ("aspects", aspect, name), ("tasks", task, name) or ("events", count, name): the place of a number in the results."""


def columns_of(outcomes: Sequence[Outcome], benchmark: Benchmark) -> dict[Key, Column]:
    """Columns of all metrics; the empty ones too (no conflict groups, say). A judge's verdicts are in the columns `judged` alone."""
    judged = _judged(outcomes, benchmark)
    outcomes = graded_by_rule(outcomes, benchmark)
    temporal = [o for o in outcomes if o.aspect in benchmark.temporal_aspects]
    static = [o for o in outcomes if o.aspect in benchmark.static_aspects]
    yes_no = [o for o in outcomes if o.choice is not None and {option.casefold() for option in o.options} == {"yes", "no"}]
    columns: dict[Key, Column] = {
        ("metrics", "temporal_strict"): _over_groups(temporal, _all_right),
        ("metrics", "same_answer_rate"): _over_groups(temporal, _all_same),
        ("metrics", "temporal"): _accuracy(temporal),
        ("metrics", "static"): _accuracy(static),
        ("metrics", "accuracy"): _accuracy(outcomes),
        ("metrics", "parse_rate"): _share(outcomes, lambda o: o.choice is not None),
        ("metrics", "temporal_lenient"): _share(temporal, lambda o: o.lenient_correct),
        ("metrics", "static_lenient"): _share(static, lambda o: o.lenient_correct),
        ("metrics", "lenient_parse_rate"): _share(outcomes, lambda o: o.lenient_choice is not None),
        ("metrics", "temporal_likelihood"): _likelihood(temporal),
        ("metrics", "static_likelihood"): _likelihood(static),
        ("metrics", "yes_rate"): _share(yes_no, lambda o: o.choice is not None and o.choice.casefold() == "yes"),
    }
    for aspect in (*benchmark.temporal_aspects, *benchmark.static_aspects):
        columns |= _columns_at(("aspects", aspect), [o for o in outcomes if o.aspect == aspect])
    for task in sorted({o.task for o in outcomes if o.task}):
        columns |= _columns_at(("tasks", task), [o for o in outcomes if o.task == task])
    for events in sorted({o.events for o in outcomes if o.events is not None}):
        here = [o for o in outcomes if o.events == events]
        columns["events", str(events), "temporal"] = _accuracy([o for o in here if o.aspect in benchmark.temporal_aspects])
        for aspect in (*benchmark.temporal_aspects, *benchmark.static_aspects):
            columns["events", str(events), aspect] = _accuracy([o for o in here if o.aspect == aspect])
    return columns | judged


def _columns_at(place: Key, outcomes: Sequence[Outcome]) -> dict[Key, Column]:
    """The columns of one aspect or task."""
    return {
        (*place, "accuracy"): _accuracy(outcomes),
        (*place, "strict"): _over_groups(outcomes, _all_right),
        (*place, "same_answer_rate"): _over_groups(outcomes, _all_same),
        (*place, "lenient"): _share(outcomes, lambda o: o.lenient_correct),
        (*place, "likelihood"): _likelihood(outcomes),
    }


def graded_by_rule(outcomes: Sequence[Outcome], benchmark: Benchmark) -> list[Outcome]:
    """All but those that only a judge can grade (captions)."""
    return [o for o in outcomes if o.task not in benchmark.judged_tasks]


def chance(outcomes: Sequence[Outcome], benchmark: Benchmark) -> dict[str, float]:
    """What blind guessing among the options gives, on average, in accuracy per aspect and in strict accuracy.

    There is nothing to guess among where the answer is free text.
    """

    def share(outcome: Outcome) -> float:
        return 1 / len(outcome.options) if outcome.options else 0.0

    blind = {}
    for aspect in (*benchmark.temporal_aspects, *benchmark.static_aspects):
        shares = [share(o) for o in outcomes if o.aspect == aspect]
        if shares:
            blind[aspect] = _mean(shares)
    groups = conflict_groups([o for o in outcomes if o.aspect in benchmark.temporal_aspects])
    if groups:
        blind["temporal_strict"] = _mean([math.prod(share(o) for o in group) for group in groups])
    return blind


def conflict_groups(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Members of each conflict group."""
    members: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.group is not None:
            members[outcome.group].append(outcome)
    return list(members.values())


def nested(numbers: Mapping[Key, dict[str, Any]]) -> dict[str, Any]:
    """Numbers as a tree of plain data, each in the place that its key names."""
    tree: dict[str, Any] = {}
    for key, number in numbers.items():
        branch = tree
        for part in key[:-1]:
            branch = branch.setdefault(part, {})
        branch[key[-1]] = number
    return tree


def _judged(outcomes: Sequence[Outcome], benchmark: Benchmark) -> dict[Key, Column]:
    """By rule, else by the judge, over the same questions as `accuracy`; what only a judge can grade is a task of its own."""

    def right(o: Outcome) -> bool:
        return o.judged_correct is True

    judged = [o for o in outcomes if o.judged_correct is not None]
    by_rule_too = graded_by_rule(judged, benchmark)
    columns: dict[Key, Column] = {}
    for name, aspects in (("temporal", benchmark.temporal_aspects), ("static", benchmark.static_aspects)):
        columns["metrics", f"{name}_judged"] = _share([o for o in by_rule_too if o.aspect in aspects], right)
        for aspect in aspects:
            columns["aspects", aspect, "judged"] = _share([o for o in by_rule_too if o.aspect == aspect], right)
    for task in sorted({o.task for o in judged if o.task}):
        columns["tasks", task, "judged"] = _share([o for o in judged if o.task == task], right)
    return columns


def _mean(values: Sequence[float]) -> float:
    """Rounded once, so that the order of questions does not reach the last digit."""
    return math.fsum(values) / len(values)


def _accuracy(outcomes: Sequence[Outcome]) -> Column:
    return _share(outcomes, lambda o: o.correct)


def _likelihood(outcomes: Sequence[Outcome]) -> Column:
    """Empty where options were not scored."""
    return _share([o for o in outcomes if o.likely_correct is not None], lambda o: o.likely_correct is True)


def _share(outcomes: Sequence[Outcome], holds: Callable[[Outcome], bool]) -> Column:
    return column([holds(o) for o in outcomes], [o.family for o in outcomes])


def _over_groups(outcomes: Sequence[Outcome], holds: Callable[[list[Outcome]], bool]) -> Column:
    groups = conflict_groups(outcomes)
    return column([holds(group) for group in groups], [group[0].family for group in groups])


def _all_right(group: list[Outcome]) -> bool:
    return all(o.correct for o in group)


def _all_same(group: list[Outcome]) -> bool:
    """A sibling without a reply is taken to have got the others' answer: less is better here, and no failure may look good."""
    return len({o.said for o in group if o.said is not None}) <= 1
