"""Examples of a micro-batch -> one forward: pairs that share view, prompt and chosen response become one row.

Legend: n examples, N branches of the forward.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vtalign.errors import InputError, VideoError
from vtalign.models.encode import LMParts
from vtalign.models.requests import FrameSource, Row
from vtalign.models.rows import RowBatch, build_batch
from vtalign.training.data import PairExample, SFTExample

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PairBatch:
    """Pairs of one forward.

    chosen, rejected: long (n,), the branch (row of the log-probs) of each pair's sides; reference: float32 (n, 2), token-summed
    log-probs under the reference; tokens: chosen-response tokens, counted once a pair; levels: sum of the pairs' curriculum
    stages. `rows` is None where no video could be read.
    """

    rows: RowBatch | None
    chosen: torch.Tensor
    rejected: torch.Tensor
    reference: torch.Tensor
    ids: tuple[str, ...]
    tokens: int
    groups: int
    levels: int

    @property
    def count(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> "PairBatch":
        rows = self.rows.to(device) if self.rows is not None else None
        moved = {name: getattr(self, name).to(device) for name in ("chosen", "rejected", "reference")}
        return replace(self, rows=rows, **moved)


@dataclass(frozen=True)
class SFTBatch:
    """Rows of one forward; branch k is the response of example k. tokens: response tokens."""

    rows: RowBatch | None
    ids: tuple[str, ...]
    tokens: int

    @property
    def count(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> "SFTBatch":
        return replace(self, rows=self.rows.to(device) if self.rows is not None else None)


Batch = PairBatch | SFTBatch
Make = Callable[[LMParts, Sequence[Any], FrameSource], Batch]


class BatchCollator:
    """Makes the model's inputs: called with a micro-batch of examples, it gives `{"batch": ..}` (Trainer wants a mapping).

    `make` is `pair_batch` or `sft_batch`. An example whose video cannot be read any more (it could before the stage) is left out,
    with one logged line. Raises InputError, naming the example, where one does not fit the model.
    """

    def __init__(self, parts: LMParts, source: FrameSource, make: Make) -> None:
        self._parts, self._source, self._make = parts, source, make

    def __call__(self, examples: Sequence[PairExample | SFTExample]) -> dict[str, Batch]:
        try:
            return {"batch": self._make(self._parts, examples, self._source)}
        except VideoError:
            readable = [example for example in examples if self._is_readable(example)]
            return {"batch": self._make(self._parts, readable, self._source)}
        except InputError:
            for example in examples:
                self._require_fitting(example)
            raise

    def _require_fitting(self, example: PairExample | SFTExample) -> None:
        try:
            self._make(self._parts, [example], self._source)
        except InputError as error:
            raise InputError(f"{example.id}: {error}") from None

    def _is_readable(self, example: PairExample | SFTExample) -> bool:
        try:
            for view in example.prompt.views:
                self._source.frames(view)
        except VideoError as error:
            logger.warning("left out of its step: %s: %s", example.id, error)
            return False
        return True


def pair_batch(parts: LMParts, pairs: Sequence[PairExample], source: FrameSource) -> PairBatch:
    """Raises VideoError and InputError as `build_batch`; every pair needs its reference."""
    groups, chosen, rejected = coalesce(pairs)
    rows = build_batch(parts, groups, source) if groups else None
    tokens = int(rows.target_mask[chosen].sum()) if rows is not None else 0
    reference = torch.tensor([pair.reference for pair in pairs], dtype=torch.float32).reshape(-1, 2)
    return PairBatch(
        rows=rows,
        chosen=torch.tensor(chosen, dtype=torch.long),
        rejected=torch.tensor(rejected, dtype=torch.long),
        reference=reference,
        ids=tuple(pair.id for pair in pairs),
        tokens=tokens,
        groups=len(groups),
        levels=sum(pair.level for pair in pairs),
    )


def sft_batch(parts: LMParts, examples: Sequence[SFTExample], source: FrameSource) -> SFTBatch:
    """Raises VideoError and InputError as `build_batch`."""
    given = [Row(example.prompt, (example.response,)) for example in examples]
    rows = build_batch(parts, given, source) if given else None
    tokens = int(rows.target_mask.sum()) if rows is not None else 0
    return SFTBatch(rows, tuple(example.id for example in examples), tokens)


def coalesce(pairs: Sequence[PairExample]) -> tuple[list[Row], list[int], list[int]]:
    """Rows `(prompt, (chosen, rejected, ..))`, one for each distinct prompt and chosen response, in order of appearance; and for
    each pair the branch of its chosen and of its rejected response, over all rows. Equal responses of a row are one branch.
    """
    branches: dict[tuple[Any, str], list[str]] = {}
    for pair in pairs:
        responses = branches.setdefault((pair.prompt, pair.chosen), [pair.chosen])
        if pair.rejected not in responses:
            responses.append(pair.rejected)
    first, starts = 0, {}
    for key, responses in branches.items():
        starts[key] = first
        first += len(responses)
    chosen = [starts[pair.prompt, pair.chosen] for pair in pairs]
    rejected = [starts[key := (pair.prompt, pair.chosen)] + branches[key].index(pair.rejected) for pair in pairs]
    return [Row(prompt, tuple(responses)) for (prompt, _), responses in branches.items()], chosen, rejected
