"""`export_run`: a finished run under the file names of another tool, so that its viewers and loaders find it.

lmms-eval looks for `<model>/<date>_results.json` and `<model>/<date>_samples_<task>.jsonl` (release 0.7.3: `tui/server.py`,
`baselines/loader.py`, `entrypoints/job_scheduler.py`). The date is when the run was begun, in UTC.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vtalign.artifacts import make_folder, read_jsonl, write_atomic, write_json
from vtalign.errors import InputError
from vtalign_eval.benchmarks.tempcompass import TEMPCOMPASS
from vtalign_eval.compare import read_run
from vtalign_eval.outcomes import samples_file
from vtalign_eval.results import RESULTS
from vtalign_eval.tempcompass.lmms_rows import Row, graded_rows, leaderboard_files, metrics_of_rows

Target = Literal["lmms-eval", "tempcompass"]


def export_run(run: Path, to: Target, out: Path) -> tuple[Path, ...]:
    """Write the run's results and samples below `out` and return the paths.

    `lmms-eval`: its output layout; TempCompass becomes one task per kind of question, as there. `tempcompass`: the
    `tempcompass_<task>.json` that TempCompass's leaderboard collects. Raises InputError for an unfinished run, and for
    `tempcompass` of another benchmark.
    """
    benchmark = read_run(run).record["benchmark"]
    results = json.loads((run / RESULTS).read_text(encoding="utf-8"))
    date = _begun(run)
    if to == "tempcompass":
        if benchmark != TEMPCOMPASS.name:
            raise InputError(f"{run}: is a run of {benchmark}; only one of {TEMPCOMPASS.name} has that layout (--to lmms-eval)")
        make_folder(out)
        files = leaderboard_files(graded_rows(run), results["model_name"], date)
        for name, content in files.items():
            write_json(out / name, content)
        return tuple(out / name for name in files)
    folder = out / sanitised_model(results["model_name"])
    make_folder(folder)
    if benchmark == TEMPCOMPASS.name:
        tasks = graded_rows(run)
        results = _by_task(results, tasks)
        samples = {task: [_without_doc(row) for row in rows] for task, rows in tasks.items()}
    else:
        samples = {benchmark: list(read_jsonl(run / samples_file(benchmark)))}
    written = []
    for task, rows in samples.items():
        written.append(folder / f"{date}_samples_{task}.jsonl")
        write_atomic(written[-1], "".join(json.dumps(_flat(row), ensure_ascii=False) + "\n" for row in rows))
    written.append(folder / f"{date}_{RESULTS}")
    write_json(written[-1], {**results, "date": date, "model_name_sanitized": folder.name})
    return tuple(written)


def sanitised_model(name: str) -> str:
    """The folder name that lmms-eval makes of a model: its last two parts, with `__` for what a file name should not hold.

    Unlike there, `.` and `..` are no names of models: nothing is written beside or above the folder that was asked for.
    """
    parts = "/".join(name.rstrip("/").split("/")[-2:])
    return re.sub(r'["<>:/|\\?*\[\]]+', "__", parts if parts.strip(".") else "/")


def _begun(run: Path) -> str:
    """run.yaml is written first, and only once."""
    return datetime.fromtimestamp((run / "run.yaml").stat().st_mtime, UTC).strftime("%Y%m%d_%H%M%S")


def _by_task(results: dict[str, Any], tasks: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    (group,) = results["results"]
    measured = {task: {"alias": task, **metrics_of_rows(rows)} for task, rows in tasks.items()}
    names = {
        task: [key.removesuffix(",none") for key in found if key.endswith("accuracy,none")] for task, found in measured.items()
    }
    return {
        **results,
        "results": measured,
        "groups": {group: {"alias": group}},
        "group_subtasks": {group: list(tasks)},
        "configs": {task: {**results["configs"][group], "task": task} for task in tasks},
        "versions": dict.fromkeys(tasks, results["versions"][group]),
        "n-shot": dict.fromkeys(tasks, 0),
        "higher_is_better": {task: dict.fromkeys(found, True) for task, found in names.items()},
        "n-samples": {task: {"original": len(rows), "effective": len(rows)} for task, rows in tasks.items()},
        "task_hashes": dict.fromkeys(tasks, results["task_hashes"][group]),
    }


def _without_doc(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "doc"}


def _flat(row: Row) -> Row:
    """One request per question: lmms-eval takes the list of one away."""
    return {**row, "resps": row["resps"][0], "filtered_resps": row["filtered_resps"][0]}
