"""A graded TempCompass run as rows of lmms-eval: one task each, and the files that TempCompass's leaderboard collects.

Fields, names and the scale (per cent) are those of lmms-eval's TempCompass tasks (read at release 0.7.3) and of TempCompass's
`utils/acc_lmms_eval.py`, which reads `logs[i].doc.dim` and `logs[i].avg_accuracy.rating`.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign_eval.tempcompass.files import PREDICTIONS, RESULTS_BY_RULE, RESULTS_JUDGED
from vtalign_eval.tempcompass.predictions import prediction_file
from vtalign_eval.tempcompass.questions import SUFFIXES, TASKS
from vtalign_eval.tempcompass.stored import lmms_task

Row = dict[str, Any]


def graded_rows(run: Path) -> dict[str, list[Row]]:
    """lmms-eval's task -> rows with `doc`, in the order of the run; `doc_id` is the place in it.

    From the files in TempCompass's own layout that a run leaves. A task without grades (captions that no judge has seen) is not
    there. Raises InputError where the run has none.
    """
    judged = run / RESULTS_JUDGED
    grades = judged if judged.is_dir() else run / RESULTS_BY_RULE
    found = {}
    for task in TASKS:
        asked, graded = run / PREDICTIONS / prediction_file(task), grades / prediction_file(task)
        if asked.is_file() and graded.is_file():
            found[lmms_task(task)] = _rows(task, json.loads(asked.read_text("utf-8")), json.loads(graded.read_text("utf-8")))
    if not found:
        raise InputError(f"{run}: holds no graded TempCompass task ({RESULTS_BY_RULE}/<task>.json)")
    return found


def metrics_of_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """`avg_accuracy` and each aspect's, in per cent, as lmms-eval writes them in `results`."""
    by_metric: dict[str, list[int]] = {"avg_accuracy": [row["avg_accuracy"]["rating"] for row in rows]}
    aspects = defaultdict(list)
    for row in rows:
        aspects[f"{row['doc']['dim']}_accuracy"].append(row["avg_accuracy"]["rating"])
    flat: dict[str, Any] = {}
    for metric, ratings in {**by_metric, **aspects}.items():
        flat[f"{metric},none"] = 100 * sum(ratings) / len(ratings)
        flat[f"{metric}_stderr,none"] = "N/A"
    return flat


def leaderboard_files(rows: Mapping[str, Sequence[Row]], model: str, date: str) -> dict[str, dict[str, Any]]:
    """File name -> content, in the form of the releases of lmms-eval that the leaderboard was made for (`logs` with `doc`)."""
    return {
        f"{task}.json": {
            "args": {"model": model, "tasks": task},
            "model_configs": {"task": task},
            "logs": list(here),
            "time": date,
        }
        for task, here in rows.items()
    }


def _rows(task: str, asked: dict[str, Any], graded: dict[str, Any]) -> list[Row]:
    pairs = [
        (video, aspect, question, grade)
        for video, aspects in asked.items()
        for aspect, questions in aspects.items()
        for question, grade in zip(questions, graded[video][aspect], strict=True)
    ]
    return [_row(number, task, *pair) for number, pair in enumerate(pairs)]


def _row(number: int, task: str, video: str, aspect: str, question: Row, grade: Row) -> Row:
    said = question["prediction"] or ""
    metric = {
        "video_id": video,
        "question": question["question"],
        **{field: value for field, value in grade.items() if field != "question"},
        "video-llm-prediction": said,
        "dim": aspect,
    }
    return {
        "doc_id": number,
        "doc": {"video_id": video, "question": question["question"], "answer": question["answer"], "dim": aspect},
        "target": question["answer"],
        "input": question["question"] + SUFFIXES[task],
        "resps": [[said]],
        "filtered_resps": [said],
        "doc_hash": stable_id("doc", task, video, aspect, question["question"], question["answer"]),
        # without it lmms-eval's baseline loader compares reply and answer as strings
        "score": float(grade["rating"]),
        "avg_accuracy": metric,
        f"{aspect}_accuracy": metric,
    }
