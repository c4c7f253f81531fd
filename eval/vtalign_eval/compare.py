"""`compare_runs`: is B better than A? Paired by question, clustered by family, and refused where the runs are not comparable."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from vtalign.artifacts import claim_run_folder, make_folder, write_atomic, write_json
from vtalign.errors import InputError
from vtalign_eval.benchmarks import Benchmark, find_benchmark
from vtalign_eval.judging.comparable import judge_of, without_verdicts
from vtalign_eval.metrics import graded_by_rule, nested
from vtalign_eval.outcomes import Outcome, read_samples, samples_file
from vtalign_eval.paired import Pair, difference_estimates, paired_columns
from vtalign_eval.report.attempt import attempt
from vtalign_eval.report.comparison import Compared, report_comparison
from vtalign_eval.results import RESULTS
from vtalign_eval.statistics import FEWEST_CLUSTERS, RESAMPLES, Column, Estimate, holm, mcnemar_p
from vtalign_eval.tables import print_comparison

COMPARISON = "comparison.json"
FLIPS = "flips.jsonl"
# Must agree, as fields of the record that a run leaves under `vtalign`.
_SAME = ("benchmark", "benchmark_version", "data", "control", "frame_policy", "max_new_tokens")


@dataclass(frozen=True)
class Run:
    """A finished evaluation: its folder, the record of where its numbers come from, and its outcomes by question id."""

    folder: Path
    record: dict[str, Any]
    outcomes: dict[str, Outcome]

    @property
    def seed_of_control(self) -> int | None:
        return self.record["config"]["seed"] if self.record["control"] == "shuffled" else None

    @property
    def shown_as(self) -> dict[str, str]:
        """How frames reach the model beyond the frame policy, as far as the run says it (older ones may not, stored replies do not).

        A server is sent JPEG or PNG; PNG is without loss, as the frames that a checkpoint here is given are. Where text stands
        behind a video is the server's business, which the run does not know.
        """
        config, server = self.record["config"], self.record["config"].get("server")
        if self.record["control"] == "text" or "reader" not in config:
            return {}
        shown = {"reader": config["reader"], "images": "jpeg" if server and server["images"] == "jpeg" else "without loss"}
        return shown if server or "positions" not in config else shown | {"positions": config["positions"]}

    @property
    def judge(self) -> dict[str, str] | None:
        return judge_of(self.record)

    def summary(self) -> dict[str, Any]:
        config, fingerprint = self.record["config"], self.record["model_fingerprint"]
        return {"folder": str(self.folder), "model": config["model"], "model_fingerprint": fingerprint}


def compare_runs(
    a: str | Path, b: str | Path, out: str | Path | None = None, force: bool = False, console: Console | None = None
) -> dict[str, Any]:
    """B against A. Differences are B - A: positive is better (but for `same_answer_rate`).

    Returns `metrics`, `aspects` and `events` as in `results.json`, each entry {a, b, difference, ci95, standard_error, p_value,
    n, clusters, minimum_detectable, mcnemar[, p_holm]}, and `flipped`: the questions that B fixed and broke. Also written to
    `out/comparison.json`, the flips one a line to `out/flips.jsonl`, and the page `out/report.html`, where `out` (a folder) is given.
    Raises InputError where a run is unfinished, or where the runs differ in benchmark (or its version), data, control, frame
    policy, reader, image format, positions, judge or questions, naming what differs and both values; `force` compares the
    questions that they share and lists the differences.
    """
    if out is not None:
        # a folder that holds a run keeps its page
        claim_run_folder(Path(out), {"a": str(a), "b": str(b), "force": force}, "eval compare")
    return compare_pooled([(a, b)], out, force, console)


def compare_pooled(
    pairs: Sequence[tuple[str | Path, str | Path]],
    out: str | Path | None = None,
    force: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Several pairs of runs (one per seed) as one comparison: a family is resampled with all its seeds together.

    As `compare_runs`, with `pairs`: the temporal and static difference of each pair. `a` and `b` describe the first pair.
    """
    if not pairs:
        raise InputError("nothing to compare: no pair of runs is given")
    runs = [(read_run(Path(a)), read_run(Path(b))) for a, b in pairs]
    benchmark = find_benchmark(runs[0][0].record["benchmark"])
    runs = [_judged_alike(first, second, benchmark) for first, second in runs]
    forced: list[str] = []
    aligned: list[list[Pair]] = []
    for first, second in runs:
        if first.record["benchmark"] != benchmark.name:
            raise InputError(
                f"{first.folder}: is of benchmark '{first.record['benchmark']}', the first pair of '{benchmark.name}'"
            )
        differences = _differences(first, second)
        if differences and not force:
            reasons = "; ".join(differences)
            raise InputError(f"{first.folder}, {second.folder}: not comparable: {reasons} (--force compares all the same)")
        forced += differences
        aligned.append(_align(first, second))
    if out is not None:
        make_folder(Path(out))
    pooled = [pair for number, shared in enumerate(aligned) for pair in _renamed(shared, number)]
    comparison = {
        "benchmark": benchmark.name,
        "control": runs[0][0].record["control"],
        "a": runs[0][0].summary(),
        "b": runs[0][1].summary(),
        "judge": {"a": runs[0][0].judge, "b": runs[0][1].judge},
        "pairs": [_headline(*run, shared, benchmark) for run, shared in zip(runs, aligned, strict=True)],
        **_measured(pooled, benchmark),
        "flipped": _flipped(pooled),
        "forced": forced,
        "statistics": {
            "method": "paired percentile bootstrap over families, McNemar, Holm over aspects",
            "resamples": RESAMPLES,
            "fewest_families_for_an_interval": FEWEST_CLUSTERS,
        },
    }
    console = console or Console()
    if out is not None:
        write_json(Path(out) / COMPARISON, comparison)
        rows = [{"flip": kind, **flip} for kind, flips in comparison["flipped"].items() for flip in flips]
        write_atomic(Path(out) / FLIPS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    print_comparison(console, comparison)
    if out is not None:
        compared = [Compared(a.folder, a.record, shared) for (a, _), shared in zip(runs, aligned, strict=True)]
        attempt(console, Path(out), partial(report_comparison, Path(out), comparison, compared, benchmark))
    return comparison


def read_run(folder: Path) -> Run:
    """A run that `run_eval` finished. Raises InputError where there is none."""
    path = folder / RESULTS
    if not path.is_file():
        raise InputError(f"{folder}: no finished evaluation ({RESULTS} is missing); run `vtalign eval run` to its end first")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        name = results["vtalign"]["benchmark"]
        record = {**results["vtalign"], "benchmark_version": results["versions"][name]}
        missing = [field for field in (*_SAME, "config", "model_fingerprint") if field not in record]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a results file of vtalign") from None
    if missing:
        raise InputError(f"{path}: vtalign.{missing[0]}: is missing; evaluate again with this release")
    return Run(folder, record, {outcome.question_id: outcome for outcome in read_samples(folder / samples_file(name))})


def _judged_alike(a: Run, b: Run, benchmark: Benchmark) -> tuple[Run, Run]:
    """Verdicts that only one of the runs has cannot be compared, and leave: figures by rule do not need them."""
    if a.judge is not None and b.judge is not None:
        return a, b
    return replace(a, outcomes=without_verdicts(a.outcomes, benchmark)), replace(
        b, outcomes=without_verdicts(b.outcomes, benchmark)
    )


def _differences(a: Run, b: Run) -> list[str]:
    """Why the runs should not be compared."""
    found = []
    for field in _SAME:
        if a.record[field] != b.record[field]:
            found.append(f"{field.replace('_', ' ')} {_where(a.record[field], b.record[field])}")
    for name in sorted(a.shown_as.keys() & b.shown_as.keys()):
        if a.shown_as[name] != b.shown_as[name]:
            found.append(f"{name} {_where(a.shown_as[name], b.shown_as[name])}")
    if a.seed_of_control != b.seed_of_control:
        found.append(f"seed of the shuffled control is {a.seed_of_control} in A, {b.seed_of_control} in B")
    if a.judge is not None and b.judge is not None and a.judge != b.judge:
        found.append(f"judge {_where(a.judge, b.judge)}")
    only_a, only_b = a.outcomes.keys() - b.outcomes.keys(), b.outcomes.keys() - a.outcomes.keys()
    if only_a or only_b:
        found.append(f"{len(only_a)} questions are only in A and {len(only_b)} only in B")
    return found


def _where(a: Any, b: Any) -> str:
    if isinstance(a, dict) and isinstance(b, dict):
        return ", ".join(f"{key} {_where(a.get(key), b.get(key))}" for key in sorted({*a, *b}) if a.get(key) != b.get(key))
    return f"is {a!r} in A, {b!r} in B"


def _align(a: Run, b: Run) -> list[Pair]:
    """Outcomes of the shared questions, in A's order. What a question is about is taken from A; cut groups count no more."""
    shared = [(outcome, b.outcomes[name]) for name, outcome in a.outcomes.items() if name in b.outcomes]
    if not shared:
        raise InputError(f"{a.folder}, {b.folder}: have no question in common")
    cut = {outcome.group for name, outcome in a.outcomes.items() if name not in b.outcomes}
    pairs = []
    for ours, theirs in shared:
        group = None if ours.group in cut else ours.group
        placed = replace(theirs, family=ours.family, aspect=ours.aspect, events=ours.events, group=group)
        pairs.append((replace(ours, group=group), placed))
    return pairs


def _renamed(pairs: Sequence[Pair], number: int) -> list[Pair]:
    """Groups of different seeds are different groups, though a corpus may give them the same names; families stay one cluster."""

    def one(outcome: Outcome) -> Outcome:
        return replace(outcome, group=None if outcome.group is None else f"{number}:{outcome.group}")

    return [(one(a), one(b)) for a, b in pairs]


def _measured(pairs: Sequence[Pair], benchmark: Benchmark) -> dict[str, Any]:
    columns = paired_columns(pairs, benchmark)
    estimates = difference_estimates(columns, seed=0)
    tree = nested({key: _entry(*pair, estimates[key]) for key, pair in columns.items()})
    accuracies = {aspect: entries["accuracy"] for aspect, entries in tree["aspects"].items()}
    adjusted = holm({aspect: entry["p_value"] for aspect, entry in accuracies.items() if entry["p_value"] is not None})
    for aspect, p_value in adjusted.items():
        accuracies[aspect]["p_holm"] = p_value
    for aspect, p_value in holm({aspect: entry["mcnemar"]["p_exact"] for aspect, entry in accuracies.items()}).items():
        accuracies[aspect]["mcnemar"]["p_holm"] = p_value
    return tree


def _entry(a: Column, b: Column, difference: Estimate) -> dict[str, Any]:
    fixed, broken = int(np.sum(b.values > a.values)), int(np.sum(a.values > b.values))
    exact, middle = mcnemar_p(broken, fixed)
    return {
        "a": float(a.values.mean()),
        "b": float(b.values.mean()),
        "difference": difference.value,
        "ci95": None if difference.ci95 is None else list(difference.ci95),
        "standard_error": difference.standard_error,
        "p_value": difference.p_value,
        "n": difference.n,
        "clusters": difference.clusters,
        "minimum_detectable": difference.minimum_detectable,
        "mcnemar": {"fixed": fixed, "broken": broken, "p_exact": exact, "p_mid": middle},
    }


def _headline(a: Run, b: Run, pairs: Sequence[Pair], benchmark: Benchmark) -> dict[str, Any]:
    columns = paired_columns(pairs, benchmark)
    found: dict[str, Any] = {
        "a": a.summary(),
        "b": b.summary(),
        "questions": len(graded_by_rule([pair[0] for pair in pairs], benchmark)),
    }
    for name in ("temporal", "temporal_strict", "static"):
        if ("metrics", name) in columns:
            first, second = columns["metrics", name]
            found[name] = {"a": float(first.values.mean()), "b": float(second.values.mean())}
            found[name]["difference"] = float((second.values - first.values).mean())
    return found


def _flipped(pairs: Sequence[Pair]) -> dict[str, list[dict[str, Any]]]:
    """Questions that only B answers right, and those that only A does."""
    flips: dict[str, list[dict[str, Any]]] = {"fixed": [], "broken": []}
    for a, b in pairs:
        if a.correct != b.correct:
            flips["fixed" if b.correct else "broken"].append(
                {
                    "question_id": a.question_id,
                    "video": a.video,
                    "aspect": a.aspect,
                    "question": a.question,
                    "answer": a.answer,
                    "a": a.reply,
                    "b": b.reply,
                }
            )
    return flips
