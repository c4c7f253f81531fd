"""Log-probs of a stage's responses under its reference model: those of the pairs where they fit, else scored in one pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from vtalign.artifacts import write_parquet
from vtalign.models.requests import FrameSource
from vtalign.models.video_lm import VideoLM
from vtalign.training.collator import coalesce
from vtalign.training.data import PairExample, Side, TokenArray

SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("chosen", pa.list_(pa.float32())),
        ("rejected", pa.list_(pa.float32())),
        ("perturbed", pa.list_(pa.float32())),
        ("scored", pa.bool_()),  # here, or taken from the pair
        ("fingerprint", pa.string()),
    ]
)

TokenLogps = Mapping[Side, TokenArray]
"""Log-probs (nats) of the tokens of each side, as the pair has its sides."""


@dataclass(frozen=True)
class Reference:
    """The model that a stage is tied to: its fingerprint, and how to get it (it may be in memory already)."""

    fingerprint: str
    load: Callable[[], VideoLM]


def with_reference(
    examples: Sequence[PairExample],
    reference: Reference,
    source: FrameSource,
    file: Path,
    *,
    batch_size: int,
    show_progress: bool,
) -> tuple[list[PairExample], int]:
    """(examples with `reference` set, how many of them had to be scored). `file` keeps the log-probs, and is believed on resume.

    What is stored with a pair is used where its fingerprint is that of the reference model. Raises what scoring raises.
    """
    known, scored = _read(file, reference.fingerprint)
    if not _covers(known, examples):
        known = {
            example.id: stored
            for example in examples
            if example.pair.fingerprint == reference.fingerprint and (stored := _stored(example)) is not None
        }
        missing = [example for example in examples if example.id not in known]
        scored = {example.id for example in missing}
        if missing:
            known |= _score(missing, reference.load(), source, batch_size, show_progress)
        _write(file, known, scored, reference.fingerprint)
    return [replace(example, reference=_as_trained(known[example.id], example)) for example in examples], len(scored)


def _covers(known: Mapping[str, TokenLogps], examples: Sequence[PairExample]) -> bool:
    return known.keys() == {example.id for example in examples} and all(
        example.sides.keys() <= known[example.id].keys() for example in examples
    )


def _stored(example: PairExample) -> TokenLogps | None:
    """What the pair itself keeps, where that is all its sides."""
    tokens = example.pair.token_logps
    if tokens is None:
        return None
    # a VDPO pair of its own is about its rejected view, of which nothing is stored
    perturbed = tokens.chosen_perturbed if example.pair.rejected_view is None else None
    found: dict[Side, Any] = {"chosen": tokens.chosen, "rejected": tokens.rejected, "perturbed": perturbed}
    sides = {side: np.asarray(logps, dtype=np.float32) for side, logps in found.items() if logps is not None}
    return sides if example.sides.keys() <= sides.keys() else None


def _score(
    examples: Sequence[PairExample], lm: VideoLM, source: FrameSource, batch_size: int, show_progress: bool
) -> dict[str, TokenLogps]:
    """Sides as the pairs have them, whatever their labels are in training."""
    plain = [
        replace(example, chosen=example.pair.chosen, rejected=example.pair.rejected) if example.swapped else example
        for example in examples
    ]
    rows, sides = coalesce(plain)
    with tqdm(total=len(rows), desc="reference", unit="row", disable=not show_progress, mininterval=0.5) as bar:

        def on_done(count: int) -> None:
            bar.update(count)

        scores = lm.score(rows, source, batch_size=batch_size, on_done=on_done)
    flat = [np.asarray(score.token_logps, dtype=np.float32) for row in scores for score in row]
    return {
        example.id: {side: flat[int(branches[number])] for side, branches in sides.items()}
        for number, example in enumerate(plain)
    }


def _as_trained(sides: TokenLogps, example: PairExample) -> TokenLogps:
    """The sides as they are labelled; twice is once."""
    return {**sides, "chosen": sides["rejected"], "rejected": sides["chosen"]} if example.swapped else sides


def _read(file: Path, fingerprint: str) -> tuple[dict[str, TokenLogps], set[str]]:
    """(log-probs by pair id, ids of the pairs that had to be scored); nothing where `file` is of another model."""
    rows: list[dict[str, Any]] = pq.read_table(file, schema=SCHEMA).to_pylist() if file.is_file() else []
    if any(row["fingerprint"] != fingerprint for row in rows):
        return {}, set()
    names: tuple[Side, ...] = ("chosen", "rejected", "perturbed")
    known: dict[str, TokenLogps] = {
        row["pair_id"]: {name: np.asarray(row[name], dtype=np.float32) for name in names if row[name] is not None} for row in rows
    }
    return known, {row["pair_id"] for row in rows if row["scored"]}


def _write(file: Path, known: Mapping[str, TokenLogps], scored: set[str], fingerprint: str) -> None:
    rows = [
        {"pair_id": pair_id, **sides, "scored": pair_id in scored, "fingerprint": fingerprint}
        for pair_id, sides in sorted(known.items())
    ]
    write_parquet(file, rows, SCHEMA)
