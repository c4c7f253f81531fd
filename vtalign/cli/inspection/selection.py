"""Which pairs fit on a page, and counts of all of them; nothing but ids is held of the others."""

import heapq
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vtalign.errors import InputError
from vtalign.ids import seed_from
from vtalign.preference.stream import stream_columns

_COLUMNS = ["pair_id", "video_id", "source", "kind", "perturbation.name", "perturbation.strength"]


@dataclass(frozen=True)
class Selection:
    """`pair_ids` are shown, whole videos as far as they fit, in the order `videos` drawn by seed; the rest is of all pairs."""

    pair_ids: frozenset[str]
    videos: tuple[str, ...]
    total: int
    total_videos: int
    counts: dict[str, dict[str, int]]


def select_pairs(path: Path, limit: int, seed: int) -> Selection:
    """At most `limit` pairs of `path`. Raises InputError where there are none, or where a pair is there twice."""
    counts: dict[str, Counter[str]] = {"perturbation": Counter(), "kind": Counter(), "source": Counter()}
    ids: set[str] = set()
    keys: dict[str, int] = {}
    keyed: list[tuple[int, str, str]] = []
    for row in stream_columns(path, _COLUMNS):
        pair_id, video_id = row["pair_id"], row["video_id"]
        if pair_id is None or video_id is None:
            raise InputError(f"{path}: column {'pair_id' if pair_id is None else 'video_id'}: is null in a row")
        if pair_id in ids:
            raise InputError(f"{path}: column pair_id: '{pair_id}' is there twice")
        ids.add(pair_id)
        if video_id not in keys:
            keys[video_id] = seed_from("inspect", seed, video_id)
        keyed.append((keys[video_id], video_id, pair_id))
        applied = row.get("perturbation") or {}
        named = applied.get("name") is not None
        counts["perturbation"][f"{applied['name']}-{applied.get('strength')}" if named else "none"] += 1
        counts["kind"][row.get("kind") or "response"] += 1
        counts["source"][str(row["source"])] += 1
    if not keyed:
        raise InputError(f"{path}: no pairs in it, so there is nothing to inspect")
    chosen = heapq.nsmallest(limit, keyed)
    return Selection(
        frozenset(pair_id for _, _, pair_id in chosen),
        tuple(dict.fromkeys(video_id for _, video_id, _ in chosen)),
        len(keyed),
        len(keys),
        {name: dict(sorted(counter.items())) for name, counter in counts.items()},
    )
