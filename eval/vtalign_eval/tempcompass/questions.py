"""The questions of a local copy of TempCompass: the layout of its GitHub repository, or the Hub's parquet files."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from vtalign.config import Config
from vtalign.errors import InputError
from vtalign_eval.items import Item, is_confined

MULTI_CHOICE, YES_NO, CAPTION_MATCHING, CAPTIONING = "multi-choice", "yes_no", "caption_matching", "captioning"
MATCHED_TASKS = (MULTI_CHOICE, YES_NO, CAPTION_MATCHING)
TASKS = (*MATCHED_TASKS, CAPTIONING)
Aspect = Literal["action", "direction", "speed", "order", "attribute_change"]
ASPECTS = ("action", "direction", "speed", "order", "attribute_change")
SUB_ASPECTS = (
    "fine-grained action",
    "coarse-grained action",
    "object motion",
    "camera motion",
    "absolute speed",
    "relative speed",
    "order",
    "color & light change",
    "size & shape change",
    "combined change",
    "other change",
)
# What the published scripts append to a question (run_qwen2_vl.py).
SUFFIXES = {
    MULTI_CHOICE: "\nPlease directly give the best option:",
    YES_NO: "\nPlease answer yes or no:",
    CAPTION_MATCHING: "\nPlease directly give the best option:",
    CAPTIONING: "",
}
META_INFO = "meta_info.json"
LAYOUT = (
    "a TempCompass folder holds questions/{multi-choice,yes_no,caption_matching,captioning}.json and meta_info.json as in "
    "github.com/llyx97/TempCompass, or the parquet files of its Hub copy as <task>/test-00000-of-00001.parquet; "
    "the videos, which only `eval run` reads, lie in videos/<id>.mp4"
)


def github_file(task: str) -> str:
    return f"questions/{task}.json"


def hub_file(task: str) -> str:
    return f"{task}/test-00000-of-00001.parquet"


QUESTION_FILES = (*(github_file(task) for task in TASKS), META_INFO, *(hub_file(task) for task in TASKS))


@dataclass(frozen=True, kw_only=True)
class TempCompassItem(Item):
    """One question: the `index`-th of its task, video and aspect. `sub_aspect` is None where there is no meta_info.json.

    `scored_question` and `scored_answer` are what is graded: of a caption, the first multi-choice question of the same video and
    aspect, which a judge answers from the caption alone (both empty where the multi-choice questions are absent).
    """

    video_id: str
    index: int
    sub_aspect: str | None
    scored_question: str
    scored_answer: str


class _Question(Config):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)


class _HubRow(_Question):
    video_id: str = Field(min_length=1)
    dim: Aspect
    mc_question: str | None = None
    mc_answer: str | None = None


Place = tuple[str, str]
"""(video id, aspect)"""

_GITHUB = TypeAdapter(dict[str, dict[Aspect, list[_Question]]])
_HUB = TypeAdapter(list[_HubRow])


def load_questions(data: Path) -> tuple[TempCompassItem, ...]:
    """Items of all tasks that are there, task by task, in file order. Raises InputError naming file, field and value."""
    tasks = [task for task in TASKS if _file_of(data, task) is not None]
    if not tasks:
        raise InputError(f"{data}: holds no questions of TempCompass: {LAYOUT}")
    kinds = _sub_aspects(data)
    items = [item for task in tasks for item in _load_task(data, task, kinds)]
    if not items:
        raise InputError(f"{data}: its question files hold no questions")
    return _with_conflict_groups(items)


def missing_files(data: Path) -> tuple[str, ...]:
    """What the folder lacks, one line each, with what that costs."""
    lines = [f"{github_file(t)} (or {hub_file(t)}): {t} is not asked" for t in TASKS if _file_of(data, t) is None]
    if not (data / META_INFO).is_file():
        lines.append(f"{META_INFO}: no figures per sub-aspect")
    if not (data / "videos").is_dir():
        lines.append("videos/: only stored predictions can be scored (`vtalign eval score`)")
    return tuple(lines)


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises InputError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None


def first_error(path: Path, error: ValidationError) -> InputError:
    """One line for the first thing that is wrong in a file."""
    wrong = error.errors()[0]
    place = ".".join(str(part) for part in wrong["loc"]) or "file"
    return InputError(f"{path}: {place}: {wrong['msg']} (got {str(wrong['input'])[:60]!r})")


def sources_of(video_id: str) -> tuple[str, ...]:
    """Clips that a video was cut from: `1_2_0` shows clips 1 and 2, `1_reverse` and `1_concat_2` are made of clip 1."""
    return tuple(re.sub(r"_(reverse|concat_[012]|[012])$", "", video_id).split("_"))


def families(video_ids: Sequence[str]) -> dict[str, str]:
    """Video id -> the first clip of all that are linked to it through shared clips."""
    parent: dict[str, str] = {}

    def root(clip: str) -> str:
        while parent.setdefault(clip, clip) != clip:
            clip = parent[clip]
        return clip

    for video_id in video_ids:
        first, *others = sources_of(video_id)
        for other in others:
            low, high = sorted((root(first), root(other)))
            parent[high] = low
    return {video_id: root(sources_of(video_id)[0]) for video_id in video_ids}


def _file_of(data: Path, task: str) -> Path | None:
    places = (data / github_file(task), data / hub_file(task))
    return next((path for path in places if path.is_file()), None)


def _load_task(data: Path, task: str, kinds: dict[Place, str]) -> Iterator[TempCompassItem]:
    path = _file_of(data, task)
    assert path is not None
    rows = _read_hub(path) if path.suffix == ".parquet" else _read_github(path)
    choices = _first_choices(data) if task == CAPTIONING else {}
    family = families(sorted({video_id for video_id, _ in rows}))
    for (video_id, aspect), questions in rows.items():
        if not is_confined(video_id) or "/" in video_id:
            raise InputError(f"{path}: video id {video_id!r}: must be a file name without its extension")
        for index, row in enumerate(questions):
            scored = row.question, row.answer
            if task == CAPTIONING:
                own = (row.mc_question, row.mc_answer) if isinstance(row, _HubRow) else (None, None)
                scored = (own[0], own[1]) if own[0] and own[1] else choices.get((video_id, aspect), ("", ""))
            yield TempCompassItem(
                question_id=f"{task}:{video_id}:{aspect}:{index}",
                video=f"videos/{video_id}.mp4",
                family=family[video_id],
                aspect=aspect,
                question=row.question,
                options=_options(path, task, row),
                answer=row.answer,
                task=task,
                video_id=video_id,
                index=index,
                # meta_info.json has no `order` entry for one video that is asked about order, and order has no kinds
                sub_aspect=(kinds.get((video_id, aspect)) if aspect != "order" else "order") if kinds else None,
                scored_question=scored[0],
                scored_answer=scored[1],
            )


def _options(path: Path, task: str, row: _Question) -> tuple[str, ...]:
    if task == CAPTIONING:
        return ()
    options = ("yes", "no") if task == YES_NO else tuple(line.strip() for line in row.question.split("\n")[1:] if line.strip())
    if row.answer.strip() not in options:
        raise InputError(f"{path}: answer {row.answer!r} is none of the options {list(options)} of {row.question!r}")
    if task == CAPTION_MATCHING and any(": " not in option for option in options):
        raise InputError(f"{path}: {row.question!r}: each option must read like 'Caption A: ..'")
    return options


def _read_github(path: Path) -> dict[Place, Sequence[_Question]]:
    try:
        found = _GITHUB.validate_python(read_json(path))
    except ValidationError as error:
        raise first_error(path, error) from None
    return {(video_id, aspect): rows for video_id, aspects in found.items() for aspect, rows in aspects.items()}


def _read_hub(path: Path) -> dict[Place, Sequence[_Question]]:
    try:
        found = _HUB.validate_python(pq.read_table(path).to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise first_error(path, error) from None
    rows: dict[Place, list[_HubRow]] = defaultdict(list)
    for row in found:
        rows[row.video_id, row.dim].append(row)
    return dict(rows)


def _first_choices(data: Path) -> dict[Place, tuple[str, str]]:
    path = _file_of(data, MULTI_CHOICE)
    if path is None:
        return {}
    rows = _read_hub(path) if path.suffix == ".parquet" else _read_github(path)
    return {place: (questions[0].question, questions[0].answer) for place, questions in rows.items() if questions}


def _sub_aspects(data: Path) -> dict[Place, str]:
    path = data / META_INFO
    if not path.is_file():
        return {}
    found = read_json(path)
    try:
        return {
            (video_id, aspect): details["type"]
            for video_id, info in found.items()
            for aspect, details in info["eval_dim"].items()
            if details is not None and aspect != "order"
        }
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: expected {{video id: {{'eval_dim': {{aspect: null or {{.., 'type': ..}}}}}}}}") from None


def _with_conflict_groups(items: Sequence[TempCompassItem]) -> tuple[TempCompassItem, ...]:
    """A conflict group: the same question and options asked of videos made of the same clips, with different right answers."""
    members: dict[tuple[str, ...], list[TempCompassItem]] = defaultdict(list)

    def key(item: TempCompassItem) -> tuple[str, ...]:
        return (item.task, "_".join(sources_of(item.video_id)), item.aspect, item.question)

    for item in items:
        if item.task != CAPTIONING:
            members[key(item)].append(item)
    conflicts = {
        place: f"{place[0]}:{place[1]}:{place[2]}:{number}"
        for number, (place, group) in enumerate(sorted(members.items()))
        if len({item.video_id for item in group}) > 1 and len({item.answer for item in group}) > 1
    }
    return tuple(replace(item, group=conflicts.get(key(item))) for item in items)
