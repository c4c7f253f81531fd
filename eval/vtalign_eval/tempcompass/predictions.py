"""Stored predictions in TempCompass's layout, brought together with the questions they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import AliasChoices, ConfigDict, Field, TypeAdapter, ValidationError

from vtalign.config import Config
from vtalign.errors import InputError
from vtalign_eval.tempcompass.questions import SUFFIXES, Place, TempCompassItem, first_error, read_json


class Prediction(Config):
    """One stored prediction of a file, with the question and (mostly) the right answer beside it."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, populate_by_name=True)

    question: str
    answer: str | None = None
    # published runs have both names; a null is a model that refused
    prediction: str | None = Field(None, validation_alias=AliasChoices("prediction", "response"))

    @property
    def is_missing(self) -> bool:
        return "prediction" not in self.model_fields_set


_FILE = TypeAdapter(dict[str, dict[str, list[Prediction]]])
# The suffix of the first release; some files keep the whole prompt as the question.
_OLD_SUFFIX = "\nBest Option:"


@dataclass(frozen=True)
class Predictions:
    """Replies to the items of one task, by question id.

    `missing`: questions without a prediction, which count as wrong. `unknown`: predictions for no question of the task, which
    count as nothing. `reworded`: taken by their place in a list of the right length, with the right answer beside them.
    `other_answer`: beside which the file holds another answer than the benchmark, whose answer counts.
    """

    replies: dict[str, str | None]
    missing: int = 0
    unknown: int = 0
    reworded: int = 0
    other_answer: int = 0


def prediction_file(task: str) -> str:
    return f"{task}.json"


def read_predictions(path: Path, items: Sequence[TempCompassItem]) -> Predictions:
    """The predictions of one task's file for `items`, all of that task.

    An empty file is a run that was stopped: all its predictions are missing. Raises InputError for a file of another kind or
    another task: not one of its questions is the task's.
    """
    try:
        found = _FILE.validate_python(read_json(path)) if path.read_bytes().strip() else {}
    except ValidationError as error:
        raise first_error(path, error) from None
    return align(
        path, {(video_id, aspect): rows for video_id, aspects in found.items() for aspect, rows in aspects.items()}, items
    )


def align(path: Path, given: Mapping[Place, Sequence[Prediction]], items: Sequence[TempCompassItem]) -> Predictions:
    """Predictions by video and aspect, brought together with `items`, all of one task. Raises InputError naming `path` where not
    one of its questions is the task's."""
    lists: dict[Place, list[TempCompassItem]] = {}
    for item in items:
        lists.setdefault((item.video_id, item.aspect), []).append(item)
    aligned, reworded = [], 0
    for place, asked in lists.items():
        by_text, by_place = _align(asked, given.get(place, []))
        aligned += by_text + by_place
        reworded += len(by_place)
    total = sum(len(rows) for rows in given.values())
    if total and len(aligned) == reworded:
        raise InputError(f"{path}: none of its {total} questions is one of {items[0].task}; is it the file of another task?")
    replies = {item.question_id: row.prediction for item, row in aligned if not row.is_missing}
    return Predictions(
        replies,
        missing=len(items) - len(replies),
        unknown=total - len(aligned),
        reworded=reworded,
        other_answer=sum(row.answer is not None and row.answer != item.answer for item, row in aligned),
    )


Aligned = list[tuple[TempCompassItem, Prediction]]


def _align(asked: Sequence[TempCompassItem], rows: Sequence[Prediction]) -> tuple[Aligned, Aligned]:
    """Pairs of the same question, each used once; and pairs of the same place and answer in lists of the same length."""
    free = dict(enumerate(rows))
    same, rest = [], []
    for item in asked:
        # a question that is asked twice goes with the row at its own place
        order = sorted(free, key=lambda number: number != item.index)
        found = next((number for number in order if _is_about(free[number], item)), None)
        if found is None:
            rest.append(item)
        else:
            same.append((item, free.pop(found)))
    moved = [item for item in rest if len(asked) == len(rows) and item.index in free and free[item.index].answer == item.answer]
    return same, [(item, free[item.index]) for item in moved]


def _is_about(row: Prediction, item: TempCompassItem) -> bool:
    text = row.question
    for suffix in (SUFFIXES[item.task], _OLD_SUFFIX):
        text = text.removesuffix(suffix) if suffix else text
    return text.split() == item.question.split()
