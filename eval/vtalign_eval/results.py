"""`results.json`: lmms-eval's layout, so that its viewers work, with everything that explains the numbers beside it.

Nothing in it depends on when or in how many attempts the run was made; times are in `timing.json`.
"""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vtalign.ids import stable_id
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.metrics import chance, columns_of, graded_by_rule, nested
from vtalign_eval.outcomes import Outcome, failed_on_server, failures_by_reason
from vtalign_eval.statistics import FEWEST_CLUSTERS, RESAMPLES, Estimate, cluster_bootstrap

RESULTS = "results.json"
_PACKAGES = ("vtalign", "torch", "transformers", "av", "numpy", "scipy")
_HIGHER_IS_WORSE = "same_answer_rate"


def results_of(outcomes: Sequence[Outcome], benchmark: Benchmark, seed: int, record: dict[str, Any]) -> dict[str, Any]:
    """All numbers of a run. `record` says where they come from: config, data hashes, frame policy, model.

    The tree under `vtalign` has `metrics`, `aspects` and `events`; each number is {value, ci95, standard_error, n, clusters,
    minimum_detectable}, the last one being the difference that this run and another, unrelated one could tell apart (a paired
    comparison can tell smaller ones). Errors are None with fewer families than `statistics` asks for. Counts and hashes are of the
    questions that rules grade, with a judge too. `gains` (where controls ran): see `vtalign_eval.gains`.
    """
    estimates = cluster_bootstrap(columns_of(outcomes, benchmark), seed)
    outcomes = graded_by_rule(outcomes, benchmark)
    flat: dict[str, Any] = {"alias": benchmark.name}
    for key, estimate in estimates.items():
        if key[0] != "events":
            name = key[1] if key[0] == "metrics" else "_".join(key[1:])
            flat[f"{name},none"] = estimate.value
            flat[f"{name}_stderr,none"] = "N/A" if estimate.standard_error is None else estimate.standard_error
    names = [name.removesuffix(",none") for name in flat if name != "alias" and "_stderr," not in name]
    unparsable = [o for o in outcomes if o.reply is not None and o.choice is None]
    return {
        "results": {benchmark.name: flat},
        "configs": {benchmark.name: {"task": benchmark.name, "doc_to_text": _prompt_rule(benchmark)}},
        "versions": {benchmark.name: benchmark.version},
        "n-shot": {benchmark.name: 0},
        "higher_is_better": {benchmark.name: {name: not name.endswith(_HIGHER_IS_WORSE) for name in names if name != "yes_rate"}},
        "n-samples": {benchmark.name: {"original": record["data"]["questions"], "effective": len(outcomes)}},
        "config": record["config"],
        "model_name": record["config"]["model"],
        "task_hashes": {benchmark.name: stable_id("task", sorted(o.question_id for o in outcomes))},
        "vtalign": {
            **nested({key: _written(estimate) for key, estimate in estimates.items()}),
            "chance": chance(outcomes, benchmark),
            "counts": {
                "questions": len(outcomes),
                "videos": len({o.video for o in outcomes}),
                "families": len({o.family for o in outcomes}),
                "unparsable": len(unparsable),
                "unparsable_leniently": sum(o.lenient_choice is None for o in unparsable),
                "cut": sum(o.cut for o in outcomes),
                "uncontrolled": sum(o.uncontrolled for o in outcomes),
                "decode_failed": sum(o.failure is not None and not failed_on_server(o) for o in outcomes),
                "server_failed": sum(map(failed_on_server, outcomes)),
            },
            "decode_failures": failures_by_reason([o for o in outcomes if not failed_on_server(o)]),
            "server_failures": failures_by_reason([o for o in outcomes if failed_on_server(o)]),
            "statistics": {
                "method": "percentile bootstrap over families",
                "resamples": RESAMPLES,
                "seed": seed,
                "fewest_families_for_an_interval": FEWEST_CLUSTERS,
            },
            **record,
            "versions": versions(),
        },
    }


def _prompt_rule(benchmark: Benchmark) -> str:
    return f"question + {dict(benchmark.suffixes)!r}[task]" if benchmark.suffixes else f"question + {benchmark.suffix!r}"


def versions() -> dict[str, str]:
    """Releases of what computed the numbers."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _written(estimate: Estimate) -> dict[str, Any]:
    detectable = estimate.minimum_detectable
    return {
        "value": estimate.value,
        "ci95": None if estimate.ci95 is None else list(estimate.ci95),
        "standard_error": estimate.standard_error,
        "n": estimate.n,
        "clusters": estimate.clusters,
        "minimum_detectable": None if detectable is None else 2**0.5 * detectable,
    }
