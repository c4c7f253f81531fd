"""What a stage trains on: `PairExample`s from preference pairs, `SFTExample`s from conversations. No pixels here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vtalign.errors import InputError
from vtalign.ids import file_hash, seed_from, stable_id
from vtalign.models.prompt import Prompt
from vtalign.preference.columns import read_columns
from vtalign.preference.pair import VIEW_KIND, PreferencePair, Spans, video_prompt
from vtalign.preference.schema import pair_files, read_pairs
from vtalign.preference.spans import differing_spans
from vtalign.training.config import PreferenceStage
from vtalign.video.view import VideoView

Side = Literal["chosen", "rejected", "perturbed"]
"""What a loss reads of a pair: its two responses on the clean view, and the chosen one on the other view."""

TokenArray = NDArray[np.float32]


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


def read_pair_examples(stage: PreferenceStage, seed: int) -> list[PairExample]:
    """The pairs of a stage, sorted by id. Raises InputError where there are none or one cannot be trained."""
    pairs = read_pairs(stage.data)
    if not pairs:
        raise InputError(f"{stage.data}: holds no pairs")
    if stage.compares_responses:
        pairs = [pair for pair in pairs if pair.kind != VIEW_KIND]
        if not pairs:
            raise InputError(
                f"{stage.data}: all pairs differ in their views only, and this stage compares responses; use kind: vdpo"
            )
    if stage.strengths is not None:
        pairs = [pair for pair in pairs if pair.perturbation is not None and pair.perturbation.strength in stage.strengths]
        if not pairs:
            raise InputError(f"{stage.data}: no pair has a strength of {', '.join(map(str, stage.strengths))}")
    own = read_columns(stage.data, stage.curriculum.columns) if stage.curriculum.columns else {}
    examples = [replace(_example(pair, stage), columns=own.get(pair.pair_id, {})) for pair in pairs]
    return [_random_label(example, seed) for example in examples] if stage.labels == "random" else examples


def count_view_pairs(stage: PreferenceStage) -> int:
    """How many pairs `read_pair_examples` leaves out because the stage compares responses, and they have one response only."""
    if not stage.compares_responses:
        return 0
    kinds = (
        pq.read_table(file, columns=["kind"]).column("kind")
        for file in pair_files(stage.data)
        if "kind" in pq.read_schema(file).names
    )
    return sum(column.to_pylist().count(VIEW_KIND) for column in kinds)


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
    shown = [
        *(pair.view.slots if pair.view is not None else ()),
        *(other.slots if stage.compares_views and other is not None else ()),
    ]
    foreign = {slot.video_id for slot in shown} - pair.paths.keys()
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
