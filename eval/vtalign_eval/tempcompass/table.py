"""What a person sees of TempCompass figures: per cent with one decimal, as published, both readings in one cell."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from vtalign_eval.tempcompass.questions import ASPECTS, SUB_ASPECTS

_READINGS = {"rule": "rules", "lenient": "lenient", "judged": "with judge"}
_NOTES = {
    "missing": "questions have no prediction and count as wrong",
    "null": "predictions are null and count as wrong",
    "unknown": "predictions are about no question of the benchmark and count as nothing",
    "reworded": "questions are worded otherwise in the file; taken by their place",
    "other_answer": "questions have another answer in the file; the benchmark's counts",
    "judge_failed": "replies on which the judge failed; they count as wrong",
}


def print_figures(console: Console, title: str, figures: dict[str, dict[str, Any]], not_scored: Sequence[str] = ()) -> None:
    """Aspects, sub-aspects, then what was wrong with the predictions. `figures` is by task; `not_scored`: tasks without any."""
    measured = {task: [r for r in _READINGS if r in found] for task, found in figures.items()}
    # three readings of three tasks just fit into 80 columns
    gap = 0 if any(len(readings) > 2 for readings in measured.values()) else 1
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap, 0, 0))
    table.add_column("", no_wrap=True)
    for task, readings in measured.items():
        named = "/\n".join(_READINGS[r] for r in readings) or "needs\na judge"
        table.add_column(f"{task.replace('_', chr(10))}\n{named}", justify="right")
    for task in not_scored:
        table.add_column(f"{task.replace('_', chr(10))}\nnot\nscored", justify="right")
    for kind, names in (("aspects", ASPECTS), ("sub_aspects", [kind for kind in SUB_ASPECTS if kind not in ASPECTS])):
        for name in names:
            cells = [_cell([found[r][kind].get(name) for r in measured[task]]) for task, found in figures.items()]
            if any(cells):
                table.add_row(name.replace("_", " "), *cells)
        table.add_section()
    table.add_row("avg", *(_cell([found[r]["avg"] for r in measured[task]]) for task, found in figures.items()))
    table.add_row("match rate", *(str(found.get("match_rate", "")) for found in figures.values()))
    table.add_row("questions", *(str(found["counts"]["questions"]) for found in figures.values()))
    console.print(table)
    for task, found in figures.items():
        _print_notes(console, task, found)


def _cell(figures: list[dict[str, Any] | None]) -> str:
    return "/".join(f"{figure['accuracy']:.1f}" for figure in figures if figure)


def _print_notes(console: Console, task: str, found: dict[str, Any]) -> None:
    counts = found["counts"]
    lines = []
    if found.get("needs_judge"):
        lines.append("needs a judge: no rule can grade a caption")
    if "judge" in found:
        lines.append(f"judge {found['judge']['name']}, prompt {found['judge']['prompt_hash']}: {counts['judged']} replies judged")
    if counts.get("unmatched"):
        lines.append(
            f"{counts['unmatched']} replies match no rule; of all, {counts['unparsable_leniently']} are unparsable leniently"
        )
    lines += [f"{counts[name]} {note}" for name, note in _NOTES.items() if counts.get(name)]
    for line in lines:
        console.print(f"{task}: {line}", markup=False, highlight=False)
