"""`caption_check`: does a model describe the videos of a synthetic split well? Holds the shipped tiny model to its figures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, field_validator

from vtalign.config import Config, validate_config
from vtalign.errors import InputError
from vtalign.models.video_lm import VideoLM
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.limits import DecodeLimits
from vtalign_eval.grade import normalise
from vtalign_eval.items import Item, is_confined, read_lines
from vtalign_eval.predict import Question, Reply, predict
from vtalign_eval.statistics import Column, cluster_bootstrap, column
from vtalign_eval.views import show

CAPTIONS = "captions.jsonl"
_COLOURS = ("red", "green", "blue", "yellow", "purple", "white")
_SHAPES = ("circle", "square", "triangle", "cross", "ring")
_OBJECT = re.compile(rf"\b({'|'.join(_COLOURS)}) ({'|'.join(_SHAPES)})(?: turns ({'|'.join(_COLOURS)}))?\b")


class _Row(Config):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    video: str
    family: str = Field(min_length=1)
    events: int = Field(ge=1)
    caption: str = Field(min_length=1)

    @field_validator("video")
    @classmethod
    def _inside(cls, value: str) -> str:
        if not is_confined(value):
            raise ValueError("must be a relative path inside the data folder")
        return value


@dataclass(frozen=True)
class CaptionOutcome:
    """One caption against its reference. `reply` is None where the video could not be read, which counts as wrong."""

    video: str
    family: str
    events: int
    reference: str
    reply: str | None

    @property
    def exact(self) -> bool:
        return self.reply is not None and normalise(self.reply) == normalise(self.reference)

    @property
    def names_objects(self) -> bool:
        """Every object of the reference is named and no other."""
        return self.reply is not None and objects_in(self.reply) == objects_in(self.reference)


def objects_in(caption: str) -> frozenset[str]:
    """The objects that a caption names, as `colour shape`.

    One that changes colour is named by both colours in either order: which of them it starts in is a question of time.
    """
    found = _OBJECT.findall(normalise(caption))
    return frozenset(f"{'/'.join(sorted({colour, turned} - {''}))} {shape}" for colour, shape, turned in found)


def caption_check(
    lm: VideoLM,
    data: Path,
    *,
    prompt: str = "describe the video .",
    limit: int | None = None,
    batch_size: int = 64,
    max_new_tokens: int = 96,
) -> dict[str, Any]:
    """Caption the videos of `data/captions.jsonl` and compare with the references.

    Returns `single_clip_exact` (exact captions among one-event videos), `objects_named` (captions that name exactly the objects
    that are there), `ended` (captions that the model ended itself), each {value, ci95, n}; `by_events` with `exact` and
    `objects_named` per number of events; `n`; and `captions` (video, events, reference, reply). Raises InputError.
    """
    outcomes, ended = _captioned(lm, data, prompt, limit, batch_size, max_new_tokens)
    lengths = sorted({outcome.events for outcome in outcomes})
    singles = [outcome for outcome in outcomes if outcome.events == 1]
    families = [outcome.family for outcome in outcomes]
    columns: dict[tuple[str, ...], Column] = {
        ("single_clip_exact",): column([o.exact for o in singles], [o.family for o in singles]),
        ("objects_named",): column([o.names_objects for o in outcomes], families),
        ("ended",): column(ended, families),
    }
    for events in lengths:
        here = [outcome for outcome in outcomes if outcome.events == events]
        columns["exact", str(events)] = column([o.exact for o in here], [o.family for o in here])
        columns["objects_named", str(events)] = column([o.names_objects for o in here], [o.family for o in here])
    estimates = cluster_bootstrap(columns, seed=0)
    written = {key: {"value": e.value, "ci95": e.ci95 and list(e.ci95), "n": e.n} for key, e in estimates.items()}
    by_length = {
        str(events): {"exact": written["exact", str(events)], "objects_named": written["objects_named", str(events)]}
        for events in lengths
    }
    return {
        **{key[0]: value for key, value in written.items() if len(key) == 1},
        "by_events": by_length,
        "n": len(outcomes),
        "captions": [{"video": o.video, "events": o.events, "reference": o.reference, "reply": o.reply} for o in outcomes],
    }


def _captioned(
    lm: VideoLM, data: Path, prompt: str, limit: int | None, batch_size: int, max_new_tokens: int
) -> tuple[list[CaptionOutcome], list[bool]]:
    items = _load(data)[:limit]
    questions = [Question(item.question_id, item, prompt, max_new_tokens) for item in items]
    replies: dict[str, Reply] = {}

    def on_batch(asked: Sequence[Question], made: Sequence[Reply]) -> None:
        replies.update({question.key: reply for question, reply in zip(asked, made, strict=True)})

    with DecodeWorkers(1, DecodeLimits()) as workers:
        shown = show(data, [item.video for item in items], lm.policy, "none", 0, workers, lambda _: None)
        store = FrameStore(data, shown.paths, lm.policy, workers=workers)
        predict(lm, questions, shown, store, batch_size, on_batch)
    outcomes = [
        CaptionOutcome(item.video, item.family, item.events or 1, item.answer, replies[item.question_id].text) for item in items
    ]
    return outcomes, [reply.text is not None and not reply.cut for reply in (replies[item.question_id] for item in items)]


def _load(data: Path) -> list[Item]:
    path = data / CAPTIONS
    items = []
    for number, raw in read_lines(path):
        row = validate_config(_Row, raw, f"{path}:{number}")
        if not objects_in(row.caption):
            raise InputError(f"{path}:{number}: caption: names no object of known colour and shape: {row.caption!r}")
        items.append(
            Item(
                question_id=row.video,
                video=row.video,
                family=row.family,
                aspect="caption",
                question="",
                options=(),
                answer=row.caption,
                events=row.events,
            )
        )
    if not items:
        raise InputError(f"{path}: holds no captions")
    if len({item.video for item in items}) < len(items):
        raise InputError(f"{path}: names a video twice")
    return items
