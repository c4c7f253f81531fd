"""What a build lost, by stage and reason, with the first of each to look at."""

from collections.abc import Mapping, Sequence
from typing import Any

from vtalign.artifacts import read_jsonl
from vtalign.cli.inspection.source import InspectSource
from vtalign.report.inspect_page import RejectedGroup

SHOWN = 50
"""Items of one stage and reason on the page."""

_TEXTS = ["pair_id", "video", "name", "strength", "prompt", "chosen", "rejected"]


def rejected_groups(source: InspectSource, stages: Sequence[Mapping[str, Any]], shown: int = SHOWN) -> list[RejectedGroup]:
    """The groups in the order of the stages, failures first, the most frequent reason first. Pairs that were made and then lost come
    with their texts. `stages`: those of the build's summary."""
    if source.run is None:
        return []
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    counts: dict[tuple[str, str, str], int] = {}
    for stage in stages:
        path = source.run / "stages" / stage["name"] / "rejected.jsonl"
        for row in read_jsonl(path) if path.is_file() else ():
            key = stage["name"], row["outcome"], row["reason"]
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= shown:
                found.setdefault(key, []).append(row)
    ids = {row["id"] for rows in found.values() for row in rows}
    texts, videos = _texts(source, ids), _videos(source, {_view_of(identity) for identity in ids})
    keys = sorted(counts, key=lambda key: (key[0], key[1] != "failed", -counts[key], key[2]))
    return [_group(key, found[key], counts[key], texts, videos) for key in keys]


def _group(
    key: tuple[str, str, str], rows: Sequence[Mapping[str, Any]], count: int, texts: Mapping[str, Any], videos: Mapping[str, str]
) -> RejectedGroup:
    stage, outcome, reason = key
    if all(row["id"] in texts for row in rows):
        headers = ["video", "made by", "detail", "prompt", "chosen", "rejected"]
        cells = [_pair_cells(texts[row["id"]], row["detail"]) for row in rows]
    elif all(_view_of(row["id"]) in videos for row in rows):
        headers = ["video", "of it", "detail"]
        cells = [[videos[_view_of(row["id"])], row["id"].partition("/")[2], row["detail"]] for row in rows]
    else:
        headers, cells = ["what", "detail"], [[row["id"], row["detail"]] for row in rows]
    return {"stage": stage, "outcome": outcome, "reason": reason, "count": count, "headers": headers, "rows": cells}


def _pair_cells(row: Mapping[str, Any], detail: str) -> list[str]:
    return [row["video"], f"{row['name']}-{row['strength']}", detail, row["prompt"], row["chosen"], row["rejected"]]


def _texts(source: InspectSource, ids: set[str]) -> dict[str, dict[str, Any]]:
    """Texts of the pairs among `ids`, as they were before they were lost."""
    return {row["pair_id"]: row for row in source.stage_rows("responses", _TEXTS) if row["pair_id"] in ids}


def _view_of(identity: str) -> str:
    """The view that `view-…/shuffle-4` is of."""
    return identity.partition("/")[0]


def _videos(source: InspectSource, view_ids: set[str]) -> dict[str, str]:
    """view_id -> path of its video."""
    return {
        row["view_id"]: row["video"] for row in source.stage_rows("views", ["view_id", "video"]) if row["view_id"] in view_ids
    }
