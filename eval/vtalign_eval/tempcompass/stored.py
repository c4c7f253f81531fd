"""Where the predictions of each TempCompass task are stored: TempCompass's own files, lmms-eval's samples, or our JSONL rows."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ConfigDict, Field

from vtalign.config import Config, validate_config
from vtalign.errors import InputError
from vtalign_eval.items import read_lines
from vtalign_eval.stored_replies import read_stored_replies
from vtalign_eval.tempcompass.predictions import Prediction, Predictions, align, prediction_file, read_predictions
from vtalign_eval.tempcompass.questions import CAPTIONING, TASKS, Place, TempCompassItem


class _Judged(Config):
    """What lmms-eval keeps of a question in the metric of its TempCompass tasks (read at release 0.7.3)."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    video_id: str
    dim: str
    question: str
    answer: str = Field(alias="gt-answer")
    prediction: str | None = Field(alias="video-llm-prediction")


class _LmmsRow(Config):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    avg_accuracy: _Judged


def lmms_task(task: str) -> str:
    """lmms-eval's name of one of the tasks."""
    return f"tempcompass_{task.replace('-', '_')}"


def stored_files(predictions: Path) -> dict[str, Path]:
    """Task -> the file that holds its predictions. Raises InputError where there are none, or several files of one task.

    A JSONL file of ours holds those of all tasks that rules grade, and of captions where a row is about one.
    """
    if predictions.is_file():
        return _files_of_rows(predictions)
    if not predictions.is_dir():
        raise InputError(f"{predictions}: no such folder or file of predictions")
    own = {task: path for task in TASKS if (path := predictions / prediction_file(task)).is_file()}
    if own:
        return own
    found = {}
    for task in TASKS:
        paths = sorted(predictions.glob(f"*_samples_{lmms_task(task)}.jsonl"))
        if len(paths) > 1:
            raise InputError(
                f"{predictions}: holds {len(paths)} runs of {task} ({paths[0].name}, ..); give a folder with one of each task"
            )
        if paths:
            found[task] = paths[0]
    if not found:
        wanted = ", ".join(prediction_file(task) for task in TASKS)
        raise InputError(
            f"{predictions}: holds none of {wanted} (the folder of one model, such as predictions/video-llava), and no "
            f"*_samples_{lmms_task(TASKS[0])}.jsonl or the like (the folder of one run of lmms-eval)"
        )
    return found


def read_stored(path: Path, items: Sequence[TempCompassItem]) -> Predictions:
    """The predictions in one file for `items`, all of one task. Raises InputError."""
    if path.suffix != ".jsonl":
        return read_predictions(path, items)
    rows = list(read_lines(path))
    if rows and "question_id" not in rows[0][1]:
        given: dict[Place, list[Prediction]] = {}
        for number, raw in rows:
            row = validate_config(_LmmsRow, raw, f"{path}:{number}").avg_accuracy
            # of a caption it is the answer to another question
            answer = None if items[0].task == CAPTIONING else row.answer
            made = Prediction(question=row.question, answer=answer, prediction=row.prediction)
            given.setdefault((row.video_id, row.dim), []).append(made)
        return align(path, given, items)
    mine = f"{items[0].task}:"
    others = sum(not row["question_id"].startswith(mine) for _, row in rows)
    if others == len(rows):
        return Predictions({}, missing=len(items))
    asked = read_stored_replies(path, items)
    return Predictions(asked.replies, missing=asked.missing, unknown=asked.unknown - others)


def _files_of_rows(path: Path) -> dict[str, Path]:
    """Of a JSONL file of ours: all tasks, as a model was asked them in one go. Of one of lmms-eval: the task in its name."""
    if path.suffix != ".jsonl":
        raise InputError(f"{path}: give a folder of <task>.json files, or a file of rows (*.jsonl)")
    for task in TASKS:
        if path.name.endswith(f"_samples_{lmms_task(task)}.jsonl"):
            return {task: path}
    found = set()
    for number, row in read_lines(path):
        task, colon, _ = str(row.get("question_id", "")).partition(":")
        if task not in TASKS or not colon:
            raise InputError(
                f"{path}:{number}: question_id: {row.get('question_id')!r} does not begin with one of {', '.join(TASKS)}"
            )
        found.add(task)
    if not found:
        raise InputError(f"{path}: holds no predictions")
    # only a judge grades captions: samples of a run without one have no rows of them
    return {task: path for task in TASKS if task != CAPTIONING or task in found}
