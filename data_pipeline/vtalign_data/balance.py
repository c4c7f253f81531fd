"""Stage 9, balance: pairs are left out until lengths no longer tell chosen from rejected."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from vtalign.ids import seed_from
from vtalign_data.lengths import LengthReport, PairLength, gap_bucket, length_report
from vtalign_data.stage import BatchResult, Rejected, Row

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("pair_id", "video_id", "kind")),
        *((name, pa.int64()) for name in ("chars_chosen", "chars_rejected", "tokens_chosen", "tokens_rejected")),
    ]
)

Bucket = Callable[[PairLength], tuple[object, ...]]

# From coarse to fine: the coarser the buckets, the fewer pairs are lost. Kinds of questions are balanced each on its own, because
# overall length tells the kind. A tokens gap is taken relative to the direction of the characters gap.
LEVELS: dict[str, Bucket] = {
    "gap": lambda p: (p.kind, gap_bucket(p.chars_gap)),
    "gap and tokens": lambda p: (p.kind, gap_bucket(p.chars_gap), _toward(p) * gap_bucket(p.tokens_gap)),
    "gap, tokens and length": lambda p: (
        p.kind,
        gap_bucket(p.chars_gap),
        _toward(p) * gap_bucket(p.tokens_gap),
        (p.chars_chosen + p.chars_rejected).bit_length(),
    ),
    "exact gaps": lambda p: (p.kind, abs(p.chars_gap), p.sign * p.tokens_gap, (p.chars_chosen + p.chars_rejected).bit_length()),
}

_DRAWS = 8


@dataclass(frozen=True)
class Balanced:
    """Which pairs stay, by which level of buckets, and the lengths before and after."""

    kept: tuple[PairLength, ...]
    dropped: tuple[PairLength, ...]
    level: str
    before: LengthReport
    after: LengthReport

    def to_dict(self) -> dict[str, Any]:
        return {"level": self.level, "before": self.before.to_dict(), "after": self.after.to_dict()}


def balance(lengths: Sequence[PairLength], max_accuracy: float, seed: int) -> Balanced:
    """The coarsest level after which no classifier of `length_report` is right more often than `max_accuracy`.

    Within each bucket as many pairs with the longer side chosen stay as with the shorter one, drawn by seed; of few pairs, where
    chance decides, some draws are tried. Where none is good enough, the one that comes closest and leaves something is kept; its
    report shows it.
    """
    lengths = sorted(lengths, key=lambda pair: pair.pair_id)
    before = length_report(lengths)
    if max_accuracy >= 1 or (before.accuracy is not None and before.accuracy <= max_accuracy):
        return Balanced(tuple(lengths), (), "none", before, before)
    tried: list[Balanced] = []
    for level, bucket in LEVELS.items():
        for draw in range(_DRAWS):
            kept = _even(lengths, bucket, seed_from("balance", seed, draw))
            stay = {pair.pair_id for pair in kept}
            dropped = tuple(pair for pair in lengths if pair.pair_id not in stay)
            result = Balanced(tuple(kept), dropped, level, before, length_report(kept))
            if kept and (result.after.accuracy or 0.0) <= max_accuracy:
                return result  # without an accuracy there are too few videos to measure; finer buckets would only cost pairs
            tried.append(result)
    return min(tried, key=lambda result: (not result.kept, result.after.accuracy or 0.0))


def balance_result(balanced: Balanced) -> BatchResult:
    rejected = [
        Rejected(pair.pair_id, "filtered", "length", f"chosen minus rejected: {pair.chars_gap:+d} characters")
        for pair in balanced.dropped
    ]
    return BatchResult([vars(pair) for pair in balanced.kept], rejected)


def measure(rows: Sequence[Row], count_tokens: Callable[[list[str]], list[int]]) -> list[PairLength]:
    """Lengths of candidate rows; `count_tokens` gives the number of tokens of each text."""
    chosen, rejected = (count_tokens([row[side] for row in rows]) for side in ("chosen", "rejected"))
    return [
        PairLength(row["pair_id"], row["video_id"], row["kind"], len(row["chosen"]), len(row["rejected"]), *tokens)
        for row, *tokens in zip(rows, chosen, rejected, strict=True)
    ]


def _even(lengths: Sequence[PairLength], bucket: Bucket, draw: int) -> list[PairLength]:
    sides: dict[tuple[object, ...], dict[int, list[PairLength]]] = defaultdict(lambda: {1: [], -1: [], 0: []})
    for pair in lengths:
        sides[bucket(pair)][pair.sign].append(pair)
    kept: list[PairLength] = []
    for longer_shorter_equal in sides.values():
        count = min(len(longer_shorter_equal[1]), len(longer_shorter_equal[-1]))
        kept.extend(longer_shorter_equal[0])
        for sign in (1, -1):
            kept.extend(sorted(longer_shorter_equal[sign], key=lambda pair: seed_from(draw, pair.pair_id))[:count])
    return sorted(kept, key=lambda pair: pair.pair_id)


def _toward(pair: PairLength) -> int:
    """Does the tokens gap point where the characters gap points?"""
    direction = pair.sign * pair.tokens_gap
    return (direction > 0) - (direction < 0)
