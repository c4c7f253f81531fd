"""TempCompass's own figures as tables: per cent with one decimal as published, every reading on a line of its own."""

from collections.abc import Mapping
from typing import Any

from vtalign.report.eval_report import OwnTable
from vtalign_eval.tempcompass.questions import ASPECTS, SUB_ASPECTS

_READINGS = {"rule": "rules alone", "lenient": "lenient", "judged": "with judge"}
_TITLE = "TempCompass"


def figure_tables(figures: Mapping[str, Mapping[str, Any]]) -> list[OwnTable]:
    """Aspects, sub-aspects, what was chosen how often, and what was wrong with the predictions. `figures` is by task."""
    tables: list[OwnTable] = [
        {
            "title": f"{_TITLE}, as published (per cent)",
            "headers": ["task", "reading", *(aspect.replace("_", " ") for aspect in ASPECTS), "avg", "match rate", "questions"],
            "rows": [row for task, found in figures.items() for row in _published(task, found)],
        },
        {
            "title": f"{_TITLE}, sub-aspects (per cent)",
            "headers": ["sub-aspect", *(f"{task.replace('_', ' ')}: {_readings(found)}" for task, found in figures.items())],
            "rows": _sub_aspects(figures),
        },
        {"title": f"{_TITLE}: what was chosen", "headers": ["task", "reading", "replies", "yes rate"], "rows": _replies(figures)},
        {"title": f"{_TITLE}: counts", "headers": _count_headers(figures), "rows": _counts(figures)},
    ]
    return [own for own in tables if own["rows"]]


def _published(task: str, found: Mapping[str, Any]) -> list[list[object]]:
    """The lines of one task; of captions without a judge, one that says so."""
    name, questions = task.replace("_", " "), found["counts"]["questions"]
    rows: list[list[object]] = []
    for reading, label in _READINGS.items():
        if reading in found:
            figures, match = found[reading], found.get("match_rate") if reading == "rule" else None
            cells = [_figure(figures["aspects"].get(aspect)) for aspect in ASPECTS]
            rows.append([name, label, *cells, _figure(figures["avg"]), "" if match is None else f"{match:.1f}", questions])
    return rows or [[name, "needs a judge", *[""] * (len(ASPECTS) + 2), questions]]


def _readings(found: Mapping[str, Any]) -> str:
    return " / ".join(label for reading, label in _READINGS.items() if reading in found) or "needs a judge"


def _sub_aspects(figures: Mapping[str, Mapping[str, Any]]) -> list[list[object]]:
    """A line per sub-aspect in the published order, then any others; the readings of a task in one cell."""
    read = {task: [found[reading]["sub_aspects"] for reading in _READINGS if reading in found] for task, found in figures.items()}
    kinds = {kind for readings in read.values() for reading in readings for kind in reading}
    ordered = [*(kind for kind in SUB_ASPECTS if kind in kinds), *sorted(kinds - set(SUB_ASPECTS))]
    return [
        [kind, *(" / ".join(_figure(r[kind]) for r in readings if kind in r) for readings in read.values())] for kind in ordered
    ]


def _figure(figure: Mapping[str, Any] | None) -> str:
    return "" if figure is None else f"{figure['accuracy']:.1f}"


def _replies(figures: Mapping[str, Mapping[str, Any]]) -> list[list[object]]:
    rows: list[list[object]] = []
    for task, found in figures.items():
        replies = found.get("replies", {})
        for reading in ("rule", "lenient"):
            if reading in replies:
                chosen = ", ".join(f"{mark}: {count:,}" for mark, count in replies[reading].items())
                yes = replies.get(f"yes_rate_{reading}")
                rows.append([task.replace("_", " "), _READINGS[reading], chosen, "" if yes is None else f"{yes:.1f}"])
    return rows


def _count_headers(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return ["task", *(name.replace("_", " ") for name in _counted(figures))]


def _counts(figures: Mapping[str, Mapping[str, Any]]) -> list[list[object]]:
    names = _counted(figures)
    return [[task.replace("_", " "), *(found["counts"].get(name, "") for name in names)] for task, found in figures.items()]


def _counted(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for found in figures.values() for name in found["counts"]))
