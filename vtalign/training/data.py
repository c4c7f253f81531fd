"""What a stage trains on: `PairExample`s from preference pairs, `SFTExample`s from LLaVA conversations. No pixels here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vtalign.artifacts import read_jsonl
from vtalign.errors import InputError
from vtalign.ids import file_hash, seed_from, stable_id
from vtalign.models.prompt import Prompt
from vtalign.preference.columns import read_columns
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import read_pairs
from vtalign.training.config import DPOStage, SFTStage

VIDEO_TAG = "<video>"
_SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}


@dataclass(frozen=True)
class PairExample:
    """One preference pair as it is trained. `pair` keeps its own sides; with `swapped` the labels are exchanged (a control).

    `reference` holds the token-summed log-probs (nats) of `chosen` and `rejected` under the reference model, once known; `level`
    is the stage of the curriculum, from 1; `columns` holds the numbers of the user's own columns that the curriculum asks for.
    """

    pair: PreferencePair
    prompt: Prompt
    chosen: str
    rejected: str
    swapped: bool = False
    reference: tuple[float, float] | None = None
    level: int = 1
    columns: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.pair.pair_id


@dataclass(frozen=True)
class SFTExample:
    """One question and its answer, about one video, several, or none."""

    id: str
    prompt: Prompt
    response: str


@dataclass(frozen=True)
class Conversation:
    """One exchange of a LLaVA file, its videos not looked at yet. `texts` has a piece more than `videos`, which stand between."""

    id: str
    texts: tuple[str, ...]
    videos: tuple[str, ...]
    response: str


def read_pair_examples(stage: DPOStage, seed: int) -> list[PairExample]:
    """The pairs of a dpo stage, sorted by id. Raises InputError where there are none or one cannot be trained."""
    pairs = read_pairs(stage.data)
    if not pairs:
        raise InputError(f"{stage.data}: holds no pairs")
    for pair in pairs:
        if pair.rejected_view is not None:
            raise InputError(f"{stage.data}: pair {pair.pair_id} has a rejected_view; a dpo stage compares responses to one view")
        foreign = {slot.video_id for slot in pair.view.slots} - {pair.video_id}
        if foreign:
            raise InputError(f"{stage.data}: pair {pair.pair_id} shows video {min(foreign)}, and has no path for it")
    if stage.strengths is not None:
        pairs = [pair for pair in pairs if pair.perturbation is not None and pair.perturbation.strength in stage.strengths]
        if not pairs:
            raise InputError(f"{stage.data}: no pair has a strength of {', '.join(map(str, stage.strengths))}")
    own = read_columns(stage.data, stage.curriculum.columns) if stage.curriculum.columns else {}
    examples = [
        PairExample(pair, pair.clean_prompt, pair.chosen, pair.rejected, columns=own.get(pair.pair_id, {})) for pair in pairs
    ]
    return [_random_label(example, seed) for example in examples] if stage.labels == "random" else examples


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
    return replace(example, chosen=example.rejected, rejected=example.chosen, swapped=True)


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
