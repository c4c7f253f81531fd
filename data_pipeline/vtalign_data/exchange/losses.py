"""What an export or an import lost: every item in `rejected.jsonl`, the first few of each reason told, all counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from vtalign_data.exchange.files import write_lines
from vtalign_data.progress import BuildProgress
from vtalign_data.stage import Rejected

_LINES = 5  # of one reason


def keep_losses(out: Path, lost: Sequence[Rejected], told: BuildProgress) -> dict[str, int]:
    """Write `out`/rejected.jsonl and tell; returns how many by reason."""
    write_lines(out / "rejected.jsonl", map(asdict, lost))
    counts: Counter[str] = Counter()
    for loss in lost:
        counts[loss.reason] += 1
        if loss.outcome == "failed" and counts[loss.reason] <= _LINES:
            told.say(f"{loss.id}: {loss.reason}: {' '.join(loss.detail.split())}")
    for reason, count in counts.items():
        if count > _LINES:
            told.say(f"{count} in all with {reason}; see {out / 'rejected.jsonl'}")
    return dict(sorted(counts.items()))


def in_words(lost: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in lost.items())
