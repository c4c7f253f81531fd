"""The page of one finished evaluation, made from what the run left in its folder."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtalign.report.bars import Measure
from vtalign.report.eval_report import METRICS, ControlReport, EvalReport, Gain, Groups, MeasureRows, Unread, write_eval_report
from vtalign_eval.benchmarks import Benchmark, find_benchmark
from vtalign_eval.compare import read_run
from vtalign_eval.metrics import conflict_groups
from vtalign_eval.outcomes import Outcome
from vtalign_eval.report.attempt import PAGE
from vtalign_eval.report.cards import card_of
from vtalign_eval.report.figures import figure_tables
from vtalign_eval.report.pictures import Pictures, pictures_of
from vtalign_eval.report.selection import spread
from vtalign_eval.report.sources import sources_of
from vtalign_eval.report.stored import known_hashes, measure_of, read_json
from vtalign_eval.results import RESULTS
from vtalign_eval.tempcompass.files import FIGURES

_SAME, _SOLVED, _WRONG = "the same answer to all siblings", "all siblings right", "different answers, not all right"
_SILENT = "no reply about one of the siblings"
_LISTED = 10
_COUNTS = {
    "unparsable": "replies that could not be read; they count as wrong",
    "unparsable_leniently": "of these, not leniently either",
    "cut": "replies that ran into the limit of tokens",
    "decode_failed": "questions about videos that could not be read; they count as wrong",
    "uncontrolled": "questions about videos that the control cannot change (stills)",
}
_OTHER_COUNTS = ("questions", "videos", "families")


def report_run(folder: Path) -> None:
    """Write `folder/report.html` from the results and samples there. Raises InputError where no finished run is.

    Frames come from the run's data folder; where they cannot be had, the page says why and has everything else.
    """
    run = read_run(folder)
    benchmark = find_benchmark(run.record["benchmark"])
    outcomes = list(run.outcomes.values())
    write_eval_report(folder / PAGE, _report(folder, run.record, outcomes, benchmark))


def _report(folder: Path, record: Mapping[str, Any], outcomes: Sequence[Outcome], benchmark: Benchmark) -> EvalReport:
    chance = _chance(record, benchmark)
    figures = record.get("tempcompass") or read_json(folder / FIGURES) or {}
    return {
        "model": record["config"]["model"],
        "benchmark": record["benchmark"],
        "control": record["control"],
        "metrics": _in_order({name: measure_of(entry, chance.get(name)) for name, entry in record.get("metrics", {}).items()}),
        "aspects": _rows(record.get("aspects", {}), chance),
        "tasks": _rows(record.get("tasks", {}), {}),
        "events": _rows(record.get("events", {}), {}),
        "controls": {name: _control(folder, name, found, record) for name, found in record.get("gains", {}).items()},
        "tables": figure_tables(figures),
        "groups": _groups(folder, record, outcomes),
        "unread": _unread(record, outcomes),
        "sources": sources_of(record, figures),
    }


def _chance(record: Mapping[str, Any], benchmark: Benchmark) -> dict[str, float]:
    """What guessing gives per aspect and strictly, and in all temporal questions together."""
    blind, aspects = dict(record["chance"]), record.get("aspects", {})
    known = [(blind[a], aspects[a]["accuracy"]["n"]) for a in benchmark.temporal_aspects if a in blind and a in aspects]
    if known:
        blind["temporal"] = sum(share * n for share, n in known) / sum(n for _, n in known)
    return blind


def _in_order(metrics: dict[str, Measure]) -> dict[str, Measure]:
    names = [*(name for name in METRICS if name in metrics), *sorted(set(metrics) - set(METRICS))]
    return {name: metrics[name] for name in names}


def _rows(tree: Mapping[str, Mapping[str, Any]], chance: Mapping[str, float]) -> MeasureRows:
    """Measures by row and column; chance is known of accuracy alone."""
    return {
        name: {column: measure_of(entry, chance.get(name) if column == "accuracy" else None) for column, entry in entries.items()}
        for name, entries in tree.items()
    }


def _control(folder: Path, name: str, gains: Mapping[str, Any], record: Mapping[str, Any]) -> ControlReport:
    """Scores with intervals come from the control's own run; where its folder is gone, without intervals from the gains."""
    stored = read_json(folder / "controls" / name / RESULTS)
    own = stored["vtalign"] if stored else {}
    metrics = {metric: entry for metric, entry in gains["metrics"].items() if metric in METRICS}
    accuracies = {aspect: columns["accuracy"] for aspect, columns in gains.get("aspects", {}).items() if "accuracy" in columns}
    return {
        "metrics": {
            metric: _of_control(entry, own.get("metrics", {}).get(metric), record["metrics"][metric]["n"])
            for metric, entry in metrics.items()
        },
        "aspects": {
            aspect: _of_control(entry, own.get("aspects", {}).get(aspect, {}).get("accuracy"), 0)
            for aspect, entry in accuracies.items()
        },
        "gains": {metric: _gain(entry) for metric, entry in metrics.items()},
        "aspect_gains": {aspect: _gain(entry) for aspect, entry in accuracies.items()},
        "uncontrolled": gains["uncontrolled"],
    }


def _of_control(gain: Mapping[str, Any], own: Mapping[str, Any] | None, n: int) -> Measure:
    if own is not None:
        return measure_of(own, None)
    return {"value": gain["control"], "low": None, "high": None, "n": n, "chance": None}


def _gain(entry: Mapping[str, Any]) -> Gain:
    low, high = entry["ci95"] or (None, None)
    return {
        "control": entry["control"],
        "gain": entry["gain"],
        "low": low,
        "high": high,
        "p_value": entry["p_value"],
        "minimum_detectable": entry["minimum_detectable"],
    }


def _groups(folder: Path, record: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Groups:
    groups = conflict_groups(outcomes)
    if not groups:
        return {"cards": [], "text": "There are none among the questions."}
    buckets: dict[str, dict[str, list[list[Outcome]]]] = {kind: defaultdict(list) for kind in (_SAME, _SOLVED, _WRONG, _SILENT)}
    for group in groups:
        buckets[_kind(group)][group[0].aspect].append(group)
    chosen = spread(buckets, _name)
    pictures = pictures_of(record, [outcome.video for _, group in chosen for outcome in group], known_hashes(folder))
    counts = ", ".join(f"{sum(len(found) for found in aspects.values()):,} {kind}" for kind, aspects in buckets.items())
    text = (
        "The same question asked of sibling videos with different right answers: who ignores time says the same of all. "
        f"Of {len(groups):,} groups: {counts}. Here are {len(chosen)}, spread over aspects and outcomes. "
        f"{_caution(record, pictures)}"
    )
    return {"cards": [card_of(kind, [{"the model": o} for o in group], pictures) for kind, group in chosen], "text": text.strip()}


def _name(group: Sequence[Outcome]) -> object:
    return sorted(outcome.question_id for outcome in group)


def _kind(group: Sequence[Outcome]) -> str:
    if all(outcome.correct for outcome in group):
        return _SOLVED
    if any(outcome.said is None for outcome in group):
        return _SILENT
    return _SAME if len({outcome.said for outcome in group}) == 1 else _WRONG


def _caution(record: Mapping[str, Any], pictures: Pictures) -> str:
    if pictures.reason:
        return pictures.reason
    return "Frames are drawn small; the model saw them as its frame policy says."


def _unread(record: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Unread:
    counts = {name: count for name, count in record["counts"].items() if name not in _OTHER_COUNTS}
    replies = [o for o in outcomes if o.reply is not None and o.choice is None and o.lenient_choice is None]
    return {
        "counts": {_COUNTS.get(name, name.replace("_", " ")): count for name, count in counts.items()},
        "videos": {reason: (e["questions"], e["videos"]) for reason, e in record.get("decode_failures", {}).items()},
        "replies": [{"video": o.video, "question": o.question, "reply": o.reply or ""} for o in replies[:_LISTED]],
    }
