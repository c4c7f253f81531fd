"""The page of a comparison: B against A, with the groups that only one of them solves and the flips."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtalign.report.bars import Measure
from vtalign.report.comparison_report import ComparisonReport, Flip, Flips, Paired, Run, write_comparison_report
from vtalign.report.eval_report import Groups
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.metrics import chance, columns_of, conflict_groups
from vtalign_eval.outcomes import Outcome
from vtalign_eval.paired import Pair
from vtalign_eval.report.attempt import PAGE
from vtalign_eval.report.cards import card_of
from vtalign_eval.report.pictures import Pictures, pictures_of
from vtalign_eval.report.selection import MOST_GROUPS, spread
from vtalign_eval.report.sources import spelt_out
from vtalign_eval.report.stored import known_hashes, measure_of
from vtalign_eval.statistics import cluster_bootstrap

_FIXED, _BROKEN = "solved by B and not by A", "solved by A and not by B"
_LISTED = 20


_Group = tuple[int, list[Pair]]
"""The number of its pair of runs, and both outcomes of each sibling."""


@dataclass(frozen=True)
class Compared:
    """One pair of runs: A's folder and record (where the frames come from), and the outcomes of the shared questions."""

    folder: Path
    record: Mapping[str, Any]
    pairs: Sequence[Pair]


def report_comparison(out: Path, comparison: Mapping[str, Any], compared: Sequence[Compared], benchmark: Benchmark) -> None:
    """Write `out/report.html`. `comparison` is what `compare_pooled` returns of `compared` (one per seed)."""
    pooled = [pair for one in compared for pair in one.pairs]
    data: ComparisonReport = {
        "benchmark": comparison["benchmark"],
        "control": comparison["control"],
        "a": _run(comparison["a"]["model"], [a for a, _ in pooled], benchmark),
        "b": _run(comparison["b"]["model"], [b for _, b in pooled], benchmark),
        "metrics": {name: _paired(entry) for name, entry in comparison["metrics"].items()},
        "aspects": {
            aspect: {column: _paired(entry) for column, entry in entries.items()}
            for aspect, entries in comparison.get("aspects", {}).items()
        },
        "flips": {kind: _by_aspect(flips) for kind, flips in comparison["flipped"].items()},
        "groups": _groups(compared),
        "forced": comparison["forced"],
        "sources": _sources(comparison, compared[0].record),
    }
    write_comparison_report(out / PAGE, data)


def _run(name: str, outcomes: Sequence[Outcome], benchmark: Benchmark) -> Run:
    """Scores of one side on the questions that both were asked."""
    columns = columns_of(outcomes, benchmark)
    kept = {key: columns[key] for key in columns if key[0] == "metrics" or (key[0] == "aspects" and key[-1] == "accuracy")}
    estimates, blind = cluster_bootstrap(kept, seed=0), chance(outcomes, benchmark)
    metrics: dict[str, Measure] = {}
    aspects: dict[str, Measure] = {}
    for key, found in estimates.items():
        entry = {"value": found.value, "ci95": found.ci95, "n": found.n}
        (metrics if key[0] == "metrics" else aspects)[key[1]] = measure_of(entry, blind.get(key[1]))
    return {"name": name, "metrics": metrics, "aspects": aspects}


def _paired(entry: Mapping[str, Any]) -> Paired:
    low, high = entry["ci95"] or (None, None)
    test = entry["mcnemar"]
    return {
        "a": entry["a"],
        "b": entry["b"],
        "difference": entry["difference"],
        "low": low,
        "high": high,
        "p_value": entry.get("p_holm", entry["p_value"]),
        "mcnemar": test.get("p_holm", test["p_exact"]),
        "only_a": test["broken"],
        "only_b": test["fixed"],
        "minimum_detectable": entry["minimum_detectable"],
        "n": entry["n"],
    }


def _by_aspect(flips: Sequence[Mapping[str, Any]]) -> dict[str, Flips]:
    found: dict[str, list[Flip]] = defaultdict(list)
    for flip in flips:
        sides: Flip = {
            "video": flip["video"],
            "question": flip["question"],
            "answer": flip["answer"],
            "a": flip["a"],
            "b": flip["b"],
        }
        found[flip["aspect"]].append(sides)
    return {aspect: {"count": len(here), "shown": here[:_LISTED]} for aspect, here in sorted(found.items())}


def _groups(compared: Sequence[Compared]) -> Groups:
    """Groups of all pairs of runs; shown are those that one side alone solves."""
    buckets: dict[str, dict[str, list[_Group]]] = {_FIXED: defaultdict(list), _BROKEN: defaultdict(list)}
    total = 0
    for number, one in enumerate(compared):
        theirs = {a.question_id: b for a, b in one.pairs}
        for group in conflict_groups([a for a, _ in one.pairs]):
            total += 1
            pairs = [(a, theirs[a.question_id]) for a in group]
            solved_a, solved_b = all(a.correct for a, _ in pairs), all(b.correct for _, b in pairs)
            if solved_a != solved_b:
                buckets[_FIXED if solved_b else _BROKEN][group[0].aspect].append((number, pairs))
    if not total:
        return {"cards": [], "text": "There are none among the shared questions."}
    chosen = spread(buckets, _name)
    pictures = {number: _pictures(one, number, chosen) for number, one in enumerate(compared)}
    cards = [card_of(kind, [{"A": a, "B": b} for a, b in pairs], pictures[number]) for kind, (number, pairs) in chosen]
    counts = ", ".join(f"{sum(len(found) for found in aspects.values()):,} {kind}" for kind, aspects in buckets.items())
    reasons = dict.fromkeys(found.reason for found in pictures.values() if found.reason)
    text = f"Of {total:,} groups: {counts}. Shown are {len(chosen)} of them (at most {MOST_GROUPS}), spread over aspects."
    return {"cards": cards, "text": " ".join([text, *reasons])}


def _name(group: _Group) -> object:
    number, pairs = group
    return [number, *sorted(a.question_id for a, _ in pairs)]


def _pictures(one: Compared, number: int, chosen: Sequence[tuple[str, _Group]]) -> Pictures:
    videos = [a.video for _, (place, pairs) in chosen if place == number for a, _ in pairs]
    return pictures_of(one.record, videos, known_hashes(one.folder)) if videos else Pictures()


def _sources(comparison: Mapping[str, Any], record: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("benchmark", f"{record['benchmark']}, version {record['benchmark_version']}"), ("control", comparison["control"])]
    for number, pair in enumerate(comparison["pairs"], 1):
        which = "" if len(comparison["pairs"]) == 1 else f", pair {number}"
        rows += [(f"{side.upper()}{which}", spelt_out(pair[side])) for side in ("a", "b")]
        rows.append((f"shared questions{which}", f"{pair['questions']:,}"))
    for name in ("frame_policy", "max_new_tokens", "data"):
        rows.append((name.replace("_", " "), spelt_out(record[name])))
    return [*rows, ("statistics", spelt_out(comparison["statistics"]))]
