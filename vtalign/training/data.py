"""What a stage trains on: `PairExample`s from preference pairs, `SFTExample`s from conversations. No pixels here."""

from dataclasses import dataclass, replace
from pathlib import Path

from vtalign.errors import InputError
from vtalign.ids import file_hash, seed_from, stable_id
from vtalign.models.prompt import Prompt
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import read_pairs
from vtalign.training.config import DPOStage


@dataclass(frozen=True)
class PairExample:
    """One preference pair as it is trained. `pair` keeps its own sides; with `swapped` the labels are exchanged (a control).

    `reference` holds the token-summed log-probs (nats) of `chosen` and `rejected` under the reference model, once known; `level`
    is the stage of the curriculum, from 1.
    """

    pair: PreferencePair
    prompt: Prompt
    chosen: str
    rejected: str
    swapped: bool = False
    reference: tuple[float, float] | None = None
    level: int = 1

    @property
    def id(self) -> str:
        return self.pair.pair_id


@dataclass(frozen=True)
class SFTExample:
    """One question and its answer, about one video, several, or none."""

    id: str
    prompt: Prompt
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
    examples = [PairExample(pair, pair.clean_prompt, pair.chosen, pair.rejected) for pair in pairs]
    return [_random_label(example, seed) for example in examples] if stage.labels == "random" else examples


def data_hash(path: Path) -> str:
    """One hash of a data file, or of all Parquet files of a folder; '' where there is nothing (reading it says what is wrong)."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return stable_id("data", [file_hash(file) for file in files]) if files and files[0].is_file() else ""


def _random_label(example: PairExample, seed: int) -> PairExample:
    if seed_from("random label", seed, example.id) % 2 == 0:
        return example
    return replace(example, chosen=example.rejected, rejected=example.chosen, swapped=True)
