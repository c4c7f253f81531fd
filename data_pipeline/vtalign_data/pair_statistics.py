"""Counts and distributions of the pairs on disk, for the dataset card and the report."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vtalign.preference.pair import Scores
from vtalign.preference.stream import stream_columns
from vtalign_data.score_rules import margin_of
from vtalign_data.stage import Row

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

_COLUMNS = ("group_id", "video_id", "source", "kind", "perturbation", "chosen", "rejected", "scores", "difficulty")


@dataclass(frozen=True)
class Distribution:
    """`values` at `QUANTILES`, over the `measured` pairs that have one."""

    measured: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class PairStatistics:
    """`counts`: column -> value -> pairs; `distributions`: quantity -> quantiles. Log-probs and divergences are in nats."""

    pairs: int
    groups: int
    videos: int
    counts: dict[str, dict[str, int]]
    distributions: dict[str, Distribution]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def pair_statistics(folder: Path) -> PairStatistics:
    """Of all pairs in `folder`, which are read one batch at a time."""
    counts: dict[str, Counter[str]] = {}
    values: dict[str, list[float]] = {}
    groups: set[str] = set()
    videos: set[str] = set()
    pairs = 0
    for row in stream_columns(folder, _COLUMNS):
        pairs += 1
        groups.add(row["group_id"])
        videos.add(row["video_id"])
        for column, value in _counted(row):
            counts.setdefault(column, Counter())[value] += 1
        for name, number in _measured(row):
            found = values.setdefault(name, [])
            if number is not None:
                found.append(float(number))
    distributions = {name: Distribution(len(found), _quantiles(found)) for name, found in values.items()}
    ordered = {column: dict(sorted(counter.items(), key=_numbers_last_to_first)) for column, counter in counts.items()}
    return PairStatistics(pairs, len(groups), len(videos), ordered, distributions)


def _counted(row: Row) -> Iterator[tuple[str, str]]:
    applied = row["perturbation"] or {}
    yield "source", row["source"]
    yield "kind", row["kind"]
    yield "perturbation", applied.get("name") or "none"
    yield "strength", "none" if applied.get("strength") is None else str(applied["strength"])


def _measured(row: Row) -> Iterator[tuple[str, float | None]]:
    scores = row["scores"] or {}
    yield "margin", margin_of(row["kind"], Scores(**scores) if scores else None)
    for name in ("logp_chosen", "logp_rejected", "logp_chosen_perturbed", "divergence", "first_token_kl", "ches"):
        yield name, scores.get(name)
    for side in ("chosen", "rejected"):
        yield f"tokens_{side}", scores.get(f"tokens_{side}")
        yield f"characters_{side}", len(row[side])
    yield "characters_gap", len(row["chosen"]) - len(row["rejected"])
    yield "difficulty", row["difficulty"]


def _quantiles(values: list[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, QUANTILES)) if values else ()


def _numbers_last_to_first(item: tuple[str, int]) -> tuple[int, str]:
    """Words by the alphabet, strengths from strong to mild."""
    value = item[0]
    return (-int(value), "") if value.isdigit() else (1, value)
