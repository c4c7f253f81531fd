"""Log-probs of a dpo stage's responses under its reference model: those of the pairs where they fit, else scored in one pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from vtalign.artifacts import write_parquet
from vtalign.models.requests import FrameSource, ResponseScore
from vtalign.models.video_lm import VideoLM
from vtalign.training.collator import coalesce
from vtalign.training.data import PairExample

SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("logp_chosen", pa.float64()),
        ("logp_rejected", pa.float64()),
        ("scored", pa.bool_()),  # here, or taken from the pair
        ("fingerprint", pa.string()),
    ]
)

Sides = tuple[float, float]


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

    The scores of a pair are used where its fingerprint is that of the reference model. Raises what scoring raises.
    """
    known, scored = _read(file, reference.fingerprint)
    if known.keys() != {example.id for example in examples}:
        known = {
            example.id: (example.pair.scores.logp_chosen, example.pair.scores.logp_rejected)
            for example in examples
            if example.pair.scores is not None and example.pair.fingerprint == reference.fingerprint
        }
        missing = [example for example in examples if example.id not in known]
        scored = {example.id for example in missing}
        if missing:
            known |= _score(missing, reference.load(), source, batch_size, show_progress)
        _write(file, known, scored, reference.fingerprint)
    return [replace(example, reference=_as_trained(known[example.id], example)) for example in examples], len(scored)


def _score(
    examples: Sequence[PairExample], lm: VideoLM, source: FrameSource, batch_size: int, show_progress: bool
) -> dict[str, Sides]:
    """Sides as the pairs have them, whatever their labels are in training."""
    plain = [replace(example, chosen=example.pair.chosen, rejected=example.pair.rejected) for example in examples]
    rows, chosen, rejected = coalesce(plain)
    with tqdm(total=len(rows), desc="reference", unit="row", disable=not show_progress, mininterval=0.5) as bar:

        def on_done(count: int) -> None:
            bar.update(count)

        scores: list[list[ResponseScore]] = lm.score(rows, source, batch_size=batch_size, on_done=on_done)
    flat = [score.total for row in scores for score in row]
    return {example.id: (flat[first], flat[second]) for example, first, second in zip(plain, chosen, rejected, strict=True)}


def _as_trained(sides: Sides, example: PairExample) -> Sides:
    return (sides[1], sides[0]) if example.swapped else sides


def _read(file: Path, fingerprint: str) -> tuple[dict[str, Sides], set[str]]:
    """(log-probs by pair id, ids of the pairs that had to be scored); nothing where `file` is of another model."""
    rows: list[dict[str, Any]] = pq.read_table(file, schema=SCHEMA).to_pylist() if file.is_file() else []
    if any(row["fingerprint"] != fingerprint for row in rows):
        return {}, set()
    known = {row["pair_id"]: (row["logp_chosen"], row["logp_rejected"]) for row in rows}
    return known, {row["pair_id"] for row in rows if row["scored"]}


def _write(file: Path, known: dict[str, Sides], scored: set[str], fingerprint: str) -> None:
    rows = [
        {
            "pair_id": pair_id,
            "logp_chosen": sides[0],
            "logp_rejected": sides[1],
            "scored": pair_id in scored,
            "fingerprint": fingerprint,
        }
        for pair_id, sides in sorted(known.items())
    ]
    write_parquet(file, rows, SCHEMA)
