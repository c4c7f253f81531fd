"""`--fail-under`: the exit code 3 that a job of continuous integration waits for."""

from pathlib import Path
from typing import Any

from vtalign.errors import GateNotMet, InputError
from vtalign_eval.results import RESULTS


def check_gate(fail_under: float | None, fail_on: str, out: Path, results: dict[str, Any]) -> None:
    """Raises GateNotMet where metric `fail_on` is below `fail_under` (a fraction), InputError where it was not measured."""
    if fail_under is None:
        return
    measured = results["vtalign"]["metrics"]
    if fail_on not in measured:
        raise InputError(f"fail_on '{fail_on}': not measured in {out} (measured: {', '.join(measured)})")
    value = measured[fail_on]["value"]
    if value < fail_under:
        name = "temporal accuracy" if fail_on == "temporal" else fail_on.replace("_", " ")
        raise GateNotMet(f"{name} {value:.4f} is below {fail_under} (--fail-under); see {out / RESULTS}")
