"""The stage `text`: lists of captions become rows of questions, and those become preference pairs and SFT rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from vtalign.ids import stable_id
from vtalign.preference.pair import PreferencePair, group_id_of
from vtalign.preference.schema import write_pairs
from vtalign_data.exchange.files import write_lines
from vtalign_data.stage import BatchResult, Rejected, Row
from vtalign_data.text_pairs.config import TextConfig
from vtalign_data.text_pairs.items import TextItem, text_items
from vtalign_data.text_pairs.story import plain

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("pair_id", "twin_id", "list_id", "video", "kind", "prompt", "chosen", "rejected")),
        ("options", pa.list_(pa.string())),
    ]
)
NO_VIEW = ""
"""`view_id` of a pair that shows nothing."""


@dataclass(frozen=True)
class CaptionList:
    """Captions of one video in time order. `list_id`: the video, where it is known; `video`: its path, or empty."""

    list_id: str
    video: str
    captions: tuple[str, ...]


def make_text_rows(lists: Sequence[CaptionList], config: TextConfig, seed: int, placeholders: Sequence[str]) -> BatchResult:
    """Two rows for every question of each list. A list that gives none is lost with its reason."""
    result = BatchResult()
    for told in lists:
        reason = _unusable(told, placeholders)
        twins = [] if reason else text_items(told.captions, config, seed)
        if reason is None and not twins:
            reason = "no_question", "no two captions that can be told apart by name"
        if reason is not None:
            result.rejected.append(Rejected(told.list_id, "filtered", *reason))
        for one, other in twins:
            twin_id = stable_id("twins", *sorted((item.prompt, item.right) for item in (one, other)))
            result.rows.extend(_row(told, item, twin_id) for item in (one, other))
    return result


def _unusable(told: CaptionList, placeholders: Sequence[str]) -> tuple[str, str] | None:
    if len(told.captions) < 2:
        return "too_few_captions", f"{len(told.captions)}: they have no order"
    if not all(plain(caption) for caption in told.captions):
        return "empty_caption", "a caption says nothing"
    found = next((token for token in placeholders for caption in told.captions if token in caption), None)
    return ("placeholder", f"{found} in a caption") if found is not None else None


def _row(told: CaptionList, item: TextItem, twin_id: str) -> Row:
    group_id = group_id_of(NO_VIEW, item.prompt, item.right)
    return {
        "pair_id": stable_id("pair", group_id, item.wrong, item.kind),
        "twin_id": twin_id,
        "list_id": told.list_id,
        "video": told.video,
        "kind": f"text_{item.kind}",
        "prompt": item.prompt,
        "chosen": item.right,
        "rejected": item.wrong,
        "options": list(item.options),
    }


def distinct_rows(rows: Iterable[Row]) -> tuple[list[Row], int]:
    """(rows without those whose question was asked of another list before, how many those were); twins go together."""
    kept: dict[str, Row] = {}
    dropped = 0
    for row in rows:
        first = kept.setdefault(row["pair_id"], row)
        dropped += first is not row
    return list(kept.values()), dropped


def write_text_pairs(folder: Path, rows: Iterable[Row]) -> dict[str, Any]:
    """`folder/pairs` (preference pairs without a view) and `folder/sft.jsonl` (LLaVA conversations without a video); counts."""
    distinct, dropped = distinct_rows(rows)
    by_kind: dict[str, int] = {}
    for row in distinct:
        by_kind[row["kind"]] = by_kind.get(row["kind"], 0) + 1
    write_pairs(folder / "pairs", map(_pair, distinct))
    conversations: dict[tuple[str, str], Row] = {}  # several wrong answers to one question are one row
    for row in sorted(distinct, key=lambda row: str(row["pair_id"])):
        conversations.setdefault((row["prompt"], row["chosen"]), row)
    write_lines(folder / "sft.jsonl", map(_conversation, conversations.values()))
    return {
        "pairs": len(distinct),
        "sft_rows": len(conversations),
        "duplicates": dropped,
        "by_kind": dict(sorted(by_kind.items())),
    }


def _pair(row: Row) -> PreferencePair:
    """No scores: training scores pairs that carry no fingerprint of its reference model itself."""
    return PreferencePair(
        pair_id=row["pair_id"],
        group_id=group_id_of(NO_VIEW, row["prompt"], row["chosen"]),
        video_id=row["list_id"],
        video=row["video"],
        view_id=NO_VIEW,
        view=None,
        prompt=row["prompt"],
        chosen=row["chosen"],
        rejected=row["rejected"],
        source="text",
        kind=row["kind"],
    )


def _conversation(row: Row) -> Row:
    turns = [{"from": "human", "value": row["prompt"]}, {"from": "gpt", "value": row["chosen"]}]
    return {"id": row["pair_id"], "kind": row["kind"], "conversations": turns}
