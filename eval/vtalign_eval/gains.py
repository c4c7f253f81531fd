"""What a run gains over its controls: how much of the score needs time (or the video at all)."""

from collections.abc import Sequence
from typing import Any

from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.metrics import nested
from vtalign_eval.outcomes import Outcome
from vtalign_eval.paired import difference_estimates, paired_columns
from vtalign_eval.statistics import Estimate

# The others (parse rates, say) differ between a run and a control for reasons that have nothing to do with time.
_MEASURED = {
    "metrics": (
        *("temporal_strict", "same_answer_rate", "temporal", "static", "accuracy"),
        *("temporal_judged", "static_judged", "temporal_likelihood"),
    ),
    "aspects": ("accuracy", "strict", "judged"),
    "tasks": ("accuracy", "strict", "judged"),
    "events": (),
}


def gains_over(plain: Sequence[Outcome], control: Sequence[Outcome], benchmark: Benchmark, seed: int) -> dict[str, Any]:
    """The plain run minus the same questions under a control, in the same order; paired by question, clustered by family.

    Returns `metrics`, `aspects` and `tasks` as in `results.json`, each number {control, gain, ci95, p_value, minimum_detectable}.
    `uncontrolled` counts questions about stills, which the control shows as they are: they are in, with no gain to be had.
    `failed` counts questions whose video could be read for the run and not under the control: they bring no gain either.
    """
    failed = [shown.failure is not None and ours.failure is None for ours, shown in zip(plain, control, strict=True)]
    held = [ours if lost else shown for ours, shown, lost in zip(plain, control, failed, strict=True)]
    columns = paired_columns(list(zip(held, plain, strict=True)), benchmark)
    kept = {key: columns[key] for key in columns if key[-1] in _MEASURED.get(key[0], ())}
    estimates = difference_estimates(kept, seed)
    numbers = {key: _written(float(kept[key][0].values.mean()), estimate) for key, estimate in estimates.items()}
    return {**nested(numbers), "uncontrolled": sum(outcome.uncontrolled for outcome in control), "failed": sum(failed)}


def _written(control: float, gain: Estimate) -> dict[str, Any]:
    return {
        "control": control,
        "gain": gain.value,
        "ci95": None if gain.ci95 is None else list(gain.ci95),
        "p_value": gain.p_value,
        "minimum_detectable": gain.minimum_detectable,
    }
