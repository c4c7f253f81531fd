"""Examples of a micro-batch -> one forward: what pairs say about one prompt becomes one row.

Legend: n pairs, N branches of the forward, T longest of them.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vtalign.errors import InputError, RunFailed, VideoError
from vtalign.models.encode import LMParts, response_offsets
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Row
from vtalign.models.rows import RowBatch, build_batch
from vtalign.preference.pair import Spans
from vtalign.preference.spans import phrase_mask
from vtalign.training.data import PairExample, SFTExample, Side

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PairBatch:
    """Pairs of one forward.

    sides: for each side that is read, long (n,), the branch (row of the log-probs) of every pair; reference: float32 (N, T),
    token log-probs of the branches under the reference, None where it is computed beside the policy or not needed; phrases: bool
    (n, T) by side, the tokens that differ; lists: long (n,), the example that a pair belongs to; tokens: chosen-response tokens,
    counted once a pair; groups: distinct prompts and chosen responses; levels: sum of the pairs' curriculum stages. `rows` is None
    where no video could be read.
    """

    rows: RowBatch | None
    sides: dict[Side, torch.Tensor]
    reference: torch.Tensor | None
    phrases: dict[Side, torch.Tensor]
    lists: torch.Tensor
    ids: tuple[str, ...]
    tokens: int
    groups: int
    levels: int

    @property
    def count(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> "PairBatch":
        return replace(
            self,
            rows=self.rows.to(device) if self.rows is not None else None,
            sides={side: branch.to(device) for side, branch in self.sides.items()},
            reference=self.reference.to(device) if self.reference is not None else None,
            phrases={side: mask.to(device) for side, mask in self.phrases.items()},
            lists=self.lists.to(device),
        )


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
            for view in example.views:
                self._source.frames(view)
        except VideoError as error:
            logger.warning("left out of its step: %s: %s", example.id, error)
            return False
        return True


def pair_batch(parts: LMParts, examples: Sequence[PairExample], source: FrameSource) -> PairBatch:
    """Raises VideoError and InputError as `build_batch`. All examples are of one stage: they have the same sides."""
    pairs = [pair for example in examples for pair in example.pairs]
    given, sides = coalesce(pairs)
    rows = build_batch(parts, given, source) if given else None
    chosen = sides.get("chosen", torch.zeros(0, dtype=torch.long))
    return PairBatch(
        rows=rows,
        sides=sides,
        reference=_reference(pairs, sides, rows.target_mask) if rows is not None else None,
        phrases=_phrases(parts, pairs, rows.targets.shape[1]) if rows is not None else {},
        lists=torch.tensor([number for number, example in enumerate(examples) for _ in example.pairs], dtype=torch.long),
        ids=tuple(pair.pair.pair_id for pair in pairs),
        tokens=int(rows.target_mask[chosen].sum()) if rows is not None else 0,
        groups=len({(pair.prompt, pair.chosen) for pair in pairs}),
        levels=sum(pair.level for pair in pairs),
    )


def sft_batch(parts: LMParts, examples: Sequence[SFTExample], source: FrameSource) -> SFTBatch:
    """Raises VideoError and InputError as `build_batch`."""
    given = [Row(example.prompt, (example.response,)) for example in examples]
    rows = build_batch(parts, given, source) if given else None
    tokens = int(rows.target_mask.sum()) if rows is not None else 0
    return SFTBatch(rows, tuple(example.id for example in examples), tokens)


def coalesce(pairs: Sequence[PairExample]) -> tuple[list[Row], dict[Side, torch.Tensor]]:
    """Rows `(prompt, distinct responses)`, one for each distinct prompt in order of appearance; and for each side the branch of
    every pair, long (n,), counted over all rows."""
    branches: dict[Prompt, dict[str, None]] = {}
    for pair in pairs:
        for prompt, response in pair.sides.values():
            branches.setdefault(prompt, {}).setdefault(response)
    number = {key: at for at, key in enumerate((prompt, text) for prompt, texts in branches.items() for text in texts)}
    names: list[Side] = list(pairs[0].sides) if pairs else []
    sides = {name: torch.tensor([number[pair.sides[name]] for pair in pairs], dtype=torch.long) for name in names}
    return [Row(prompt, tuple(texts)) for prompt, texts in branches.items()], sides


def _reference(
    pairs: Sequence[PairExample], sides: Mapping[Side, torch.Tensor], target_mask: torch.Tensor
) -> torch.Tensor | None:
    """float32 (N, T). Raises RunFailed where a side has another number of tokens than it had when it was scored."""
    if any(pair.reference is None for pair in pairs):
        return None
    logps = torch.zeros(target_mask.shape, dtype=torch.float32)
    for side, branches in sides.items():
        for pair, branch in zip(pairs, branches.tolist(), strict=True):
            assert pair.reference is not None
            known = torch.from_numpy(pair.reference[side])
            if len(known) != int(target_mask[branch].sum()):
                raise RunFailed(
                    f"{pair.id}: its {side} side has {int(target_mask[branch].sum())} tokens and had {len(known)} when the reference "
                    "was scored; the tokenizer changed, score the pairs again"
                )
            logps[branch, : len(known)] = known
    return logps


def _phrases(parts: LMParts, pairs: Sequence[PairExample], length: int) -> dict[Side, torch.Tensor]:
    """bool (n, length) by side, of pairs that have phrases."""
    if not any(pair.chosen_phrases or pair.rejected_phrases for pair in pairs):
        return {}
    masks: dict[Side, torch.Tensor] = {}
    told: dict[Side, list[tuple[str, Spans]]] = {
        "chosen": [(pair.chosen, pair.chosen_phrases) for pair in pairs],
        "rejected": [(pair.rejected or "", pair.rejected_phrases) for pair in pairs],
    }
    for side, responses in told.items():
        masks[side] = torch.zeros(len(pairs), length, dtype=torch.bool)
        offsets = response_offsets(parts, [text for text, _ in responses])
        for number, ((_, spans), places) in enumerate(zip(responses, offsets, strict=True)):
            masks[side][number, : len(places)] = torch.tensor(phrase_mask(spans, places))
    return masks
