"""What a person reads of a judge below the table of a run or a comparison."""

from typing import Any


def judge_lines(found: dict[str, Any]) -> list[str]:
    """`found`: the tree `vtalign` of results.json. Who judged, how often it failed, and what it alone could grade; none without one."""
    judge = found.get("judge")
    if judge is None:
        return []
    lines = [f"judge {judge['name']}, prompt {judge['prompt_hash']}: {judge['judged']} replies judged"]
    if judge["failed"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in judge["failures"].items())
        lines.append(f"{judge['failed']} replies on which the judge failed ({reasons}); they count as wrong")
    for task, columns in found.get("tasks", {}).items():
        if set(columns) == {"judged"}:
            metric = columns["judged"]
            bounds = "no interval" if metric["ci95"] is None else "{:.1f} to {:.1f}".format(*(100 * x for x in metric["ci95"]))
            lines.append(f"{task}, by the judge alone: {100 * metric['value']:.1f} % of {metric['n']} ({bounds})")
    return lines


def comparison_lines(comparison: dict[str, Any]) -> list[str]:
    """What of the judges of two runs is said: both had the same one, or only one had any (its verdicts are left out)."""
    a, b = comparison["judge"]["a"], comparison["judge"]["b"]
    if a is None and b is None:
        return []
    if a is None or b is None:
        return [f"verdicts are left out: only {'A' if b is None else 'B'} has a judge"]
    return [f"judge of {run}: {judge['name']}, prompt {judge['prompt_hash']}" for run, judge in (("A", a), ("B", b))]
