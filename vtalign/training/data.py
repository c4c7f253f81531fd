"""What a stage trains on: `PairExample`s from preference pairs, `SFTExample`s from LLaVA conversations. No pixels here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vtalign.artifacts import read_jsonl
from vtalign.errors import InputError
from vtalign.ids import file_hash, seed_from, stable_id
from vtalign.models.prompt import Prompt
from vtalign.preference.columns import read_columns
from vtalign.preference.pair import PreferencePair, Spans, video_prompt
from vtalign.preference.schema import read_pairs
from vtalign.preference.spans import differing_spans
from vtalign.training.config import PreferenceStage, SFTStage
from vtalign.video.view import VideoView

Side = Literal["chosen", "rejected", "perturbed"]
"""What a loss reads of a pair: its two responses on the clean view, and the chosen one on the other view."""

TokenArray = NDArray[np.float32]

VIDEO_TAG = "<video>"
_SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}


@dataclass(frozen=True)
class PairExample:
    """One preference pair as it is trained. `pair` keeps its own sides; with `swapped` the labels are exchanged (a control).

    `rejected` is None in a stage that compares views alone; `second` is the prompt with the other view, in a stage that compares
    views. `chosen_phrases` and `rejected_phrases` are the spans that differ, in a stage that reads them. `reference` holds the
    log-probs (nats) of every token of each side under the reference model, once known. `level` is the stage of the curriculum,
    from 1. `columns` holds the numbers of the user's own columns that the curriculum asks for. `more`: the other pairs of its
    group, in a stage that compares lists.
    """

    pair: PreferencePair
    prompt: Prompt
    chosen: str
    rejected: str | None
    swapped: bool = False
    second: Prompt | None = None
    chosen_phrases: Spans = ()
    rejected_phrases: Spans = ()
    reference: Mapping[Side, TokenArray] | None = None
    level: int = 1
    columns: Mapping[str, float | None] = field(default_factory=dict)
    more: tuple["PairExample", ...] = ()

    @property
    def id(self) -> str:
        return self.pair.group_id if self.more else self.pair.pair_id

    @property
    def pairs(self) -> tuple["PairExample", ...]:
        """Itself, and the others of its list."""
        return self, *self.more

    @property
    def sides(self) -> dict[Side, tuple[Prompt, str]]:
        """What the model reads of this pair: a prompt and a response by side."""
        sides: dict[Side, tuple[Prompt, str]] = {"chosen": (self.prompt, self.chosen)}
        if self.rejected is not None:
            sides["rejected"] = self.prompt, self.rejected
        if self.second is not None:
            sides["perturbed"] = self.second, self.chosen
        return sides

    @property
    def views(self) -> tuple[VideoView, ...]:
        return self.prompt.views + (self.second.views if self.second is not None else ())


@dataclass(frozen=True)
class SFTExample:
    """One question and its answer, about one video, several, or none."""

    id: str
    prompt: Prompt
    response: str

    @property
    def views(self) -> tuple[VideoView, ...]:
        return self.prompt.views


@dataclass(frozen=True)
class Conversation:
    """One exchange of a LLaVA file, its videos not looked at yet. `texts` has a piece more than `videos`, which stand between."""

    id: str
    texts: tuple[str, ...]
    videos: tuple[str, ...]
    response: str


def read_pair_examples(stage: PreferenceStage, seed: int) -> list[PairExample]:
    """The pairs of a stage, sorted by id. Raises InputError where there are none or one cannot be trained."""
    pairs = read_pairs(stage.data)
    if not pairs:
        raise InputError(f"{stage.data}: holds no pairs")
    if stage.strengths is not None:
        pairs = [pair for pair in pairs if pair.perturbation is not None and pair.perturbation.strength in stage.strengths]
        if not pairs:
            raise InputError(f"{stage.data}: no pair has a strength of {', '.join(map(str, stage.strengths))}")
    own = read_columns(stage.data, stage.curriculum.columns) if stage.curriculum.columns else {}
    examples = [replace(_example(pair, stage), columns=own.get(pair.pair_id, {})) for pair in pairs]
    return [_random_label(example, seed) for example in examples] if stage.labels == "random" else examples


def in_lists(examples: Sequence[PairExample]) -> list[PairExample]:
    """The pairs of a group as one example, in the place of its first. Pairs that say the same twice are one."""
    groups: dict[str, dict[str | None, PairExample]] = {}
    for example in examples:
        groups.setdefault(example.pair.group_id, {}).setdefault(example.rejected, example)
    lists = [list(members.values()) for members in groups.values()]
    return [replace(first, more=tuple(others)) for first, *others in lists]


def _example(pair: PreferencePair, stage: PreferenceStage) -> PairExample:
    """Raises InputError, naming the pair, where it lacks what the stage compares."""
    at = f"{stage.data}: pair {pair.pair_id}"
    other = pair.rejected_view or pair.perturbed_view
    if stage.compares_responses and pair.rejected_view is not None:
        raise InputError(
            f"{at} has a rejected_view; a stage that compares responses needs pairs of one view (kind: vdpo compares views)"
        )
    if stage.compares_views and other is None:
        raise InputError(
            f"{at} has no second view (neither rejected_view nor perturbed_view), which kind: vdpo compares with the first"
        )
    shown = [*pair.view.slots, *(other.slots if stage.compares_views and other is not None else ())]
    foreign = {slot.video_id for slot in shown} - {pair.video_id}
    if foreign:
        raise InputError(f"{at} shows video {min(foreign)}, and has no path for it")
    example = PairExample(
        pair,
        pair.clean_prompt,
        pair.chosen,
        pair.rejected if stage.compares_responses else None,
        second=video_prompt(other, pair.prompt) if stage.compares_views and other is not None else None,
    )
    return _with_phrases(example, at) if stage.reads_phrases else example


def _with_phrases(example: PairExample, at: str) -> PairExample:
    pair = example.pair
    given = pair.chosen_spans, pair.rejected_spans
    chosen, rejected = given if any(given) else differing_spans(pair.chosen, pair.rejected)
    if not chosen and not rejected:
        raise InputError(f"{at}: its two responses do not differ in any word, so rrpo has no phrases to compare")
    return replace(example, chosen_phrases=chosen, rejected_phrases=rejected)


def read_conversations(stage: SFTStage) -> tuple[list[Conversation], int]:
    """The exchanges of a LLaVA file, and how many of its rows had several.

    A row of several exchanges becomes one row for each, every one with the videos of the first: history is not shown, which is
    how question lists about one video are written. Raises InputError that names file and row.
    """
    if not stage.data.is_file():
        raise InputError(f"{stage.data}: no such file")
    conversations: list[Conversation] = []
    rows = several = 0
    for number, row in enumerate(_rows(stage.data), 1):
        rows += 1
        exchanges = _exchanges(row, f"{stage.data}: row {number}")
        several += len(exchanges) > 1
        conversations += exchanges
    if not rows:
        raise InputError(f"{stage.data}: holds no rows")
    return conversations, several


def data_hash(path: Path) -> str:
    """One hash of a data file, or of all Parquet files of a folder; '' where there is nothing (reading it says what is wrong)."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return stable_id("data", [file_hash(file) for file in files]) if files and files[0].is_file() else ""


def _random_label(example: PairExample, seed: int) -> PairExample:
    if seed_from("random label", seed, example.id) % 2 == 0:
        return example
    assert example.rejected is not None
    return replace(
        example,
        chosen=example.rejected,
        rejected=example.chosen,
        swapped=True,
        chosen_phrases=example.rejected_phrases,
        rejected_phrases=example.chosen_phrases,
    )


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix != ".json":
        yield from read_jsonl(path)
        return
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: expected a list of objects")
    yield from rows


def _exchanges(row: Mapping[str, Any], at: str) -> list[Conversation]:
    turns = row.get("conversations")
    if not isinstance(turns, list) or len(turns) < 2:
        raise InputError(f"{at}: `conversations` must be a list of at least two turns")
    if row.get("image") is not None or row.get("images") is not None:
        raise InputError(f"{at}: has an image; only videos and text are trained on")
    given = row["video"] if row.get("video") is not None else row.get("videos", [])
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(isinstance(video, str) for video in listed):
        raise InputError(f"{at}: video {given!r}: expected a path, or a list of paths")
    videos = tuple(listed)
    if len(turns) % 2 or [_speaker(turn) for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise InputError(f"{at}: turns must be human, gpt, human, gpt, ..")
    texts_said: list[str] = [turn.get("value") for turn in turns]
    if not all(isinstance(text, str) and text.strip() for text in texts_said):
        raise InputError(f"{at}: a turn has no text")
    name = str(row.get("id", stable_id("row", turns, list(videos))))
    exchanges = []
    for number, (question, answer) in enumerate(zip(texts_said[::2], texts_said[1::2], strict=True)):
        # only the first turn carries the tags; later ones are about the same videos
        tagged = question if number == 0 else VIDEO_TAG * len(videos) + question.replace(VIDEO_TAG, "")
        texts = tuple(piece.strip("\n") for piece in tagged.split(VIDEO_TAG))
        if len(texts) != len(videos) + 1:
            raise InputError(f"{at}: {len(texts) - 1} {VIDEO_TAG} tags for {len(videos)} videos")
        exchanges.append(Conversation(f"{name}#{number}" if len(turns) > 2 else name, texts, videos, answer))
    return exchanges


def _speaker(turn: Any) -> str | None:
    return _SPEAKERS.get(str(turn.get("from"))) if isinstance(turn, dict) else None
