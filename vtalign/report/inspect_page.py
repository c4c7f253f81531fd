"""`inspect.html`: the pairs of a build to look through, filtered and sorted in the browser, with nothing loaded from anywhere."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NotRequired, TypedDict

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from vtalign.artifacts import write_atomic
from vtalign.report.outcomes import StageOutcome, outcome_table
from vtalign.report.page import Section, Tile, render
from vtalign.report.sprites import Sprite
from vtalign.report.tables import table

BLANK = -1
NO_PICTURE = -2


class InspectedVideo(TypedDict):
    """A video that the pairs show. Without `sprite` its strips have numbers only, and `problem` says why."""

    id: str
    path: str
    sprite: Sprite | None
    problem: str


class InspectedView(TypedDict):
    """A strip, slot by slot: `cells` of the video's sprite (or BLANK, NO_PICTURE), shown `times` (s), and the place in the clean strip
    that each shows (`sources`, -1: nothing of it). `parts` of a clean strip: the segment of each slot. `notes`: slot -> what else
    is to be said of it (a transform, another video); `videos`: slot -> the video it shows where that is not the pair's own."""

    video: int
    cells: Sequence[int]
    times: Sequence[float]
    sources: Sequence[int]
    parts: Sequence[int]
    notes: Mapping[int, str]
    videos: Mapping[int, int]


class InspectedPair(TypedDict):
    """One pair. `view`, `perturbed` and `rejected_view` index the views (None: there is none); marks and spans are (start, stop)
    characters; `scores` in the order shown, None where not measured."""

    id: str
    group: str
    video: int
    view: int | None
    perturbed: int | None
    rejected_view: int | None
    title: str
    name: str
    strength: int | None
    kind: str
    source: str
    difficulty: float | None
    prompt: str
    chosen: str
    rejected: str
    chosen_marks: Sequence[tuple[int, int]]
    rejected_marks: Sequence[tuple[int, int]]
    chosen_spans: Sequence[tuple[int, int]]
    rejected_spans: Sequence[tuple[int, int]]
    scores: Mapping[str, float | None]
    fingerprint: str | None


class RejectedGroup(TypedDict):
    """What one stage lost for one reason: the first `rows` of `count`, under `headers`."""

    stage: str
    outcome: str
    reason: str
    count: int
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


class InspectPage(TypedDict):
    """All that the page shows. `total` pairs and `total_videos` there are; `notes` say what of them is not shown here, and why."""

    name: str
    total: int
    total_videos: int
    pairs: Sequence[InspectedPair]
    views: Sequence[InspectedView]
    videos: Sequence[InspectedVideo]
    counts: Mapping[str, Mapping[str, int]]
    notes: Sequence[str]
    stages: NotRequired[Sequence[StageOutcome]]
    rejected: NotRequired[Sequence[RejectedGroup]]
    warnings: NotRequired[Sequence[tuple[str, int]]]


def write_inspect_page(path: Path, data: InspectPage) -> None:
    """Write the page, atomically; the same data gives the same bytes."""
    write_atomic(path, inspect_page(data))


def inspect_page(data: InspectPage) -> str:
    """The document as text. Data is never markup: texts of pairs reach the browser as JSON, and from there as text nodes."""
    script = Markup(files("vtalign.report").joinpath("templates/inspect.js").read_text(encoding="utf-8"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    with_strips = sum(video["sprite"] is not None for video in data["videos"])
    shown, total = len(data["pairs"]), data["total"]
    tiles = [
        Tile("preference pairs", f"{total:,}", "all are on this page" if shown == total else f"{shown:,} are on this page"),
        Tile("videos", f"{data['total_videos']:,}", f"{with_strips:,} with frame strips on this page"),
    ]
    lost = sum(sum(stage[outcome].values()) for stage in data.get("stages", ()) for outcome in ("filtered", "failed"))
    if "stages" in data:
        tiles.append(Tile("rejected on the way", f"{lost:,}", "files, videos, perturbed views and pairs, with reasons below"))
    return render(
        "inspect.html.j2",
        title="Preference pairs",
        lead=f"What is in {data['name']}, and what is not, and why.",
        tiles=tiles,
        notes=data["notes"],
        data=script_json({"pairs": [_shipped(pair) for pair in data["pairs"]], "views": data["views"], "videos": _videos(data)}),
        sprites=[video["sprite"]["jpeg"] if video["sprite"] else "" for video in data["videos"]],
        script=script,
        digest=digest,
        sections=_sections(data),
        footer="",
    )


def script_json(value: object) -> Markup:
    """JSON that may stand inside `<script type="application/json">`: nothing in it can end the element or begin a comment."""
    return htmlsafe_json_dumps(value, dumps=json.dumps, separators=(",", ":"), allow_nan=False)


def utf16_offsets(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Character offsets as a browser counts them: an emoji is two."""
    if not text or max(text) <= "\uffff":
        return list(spans)
    at = [0]
    for character in text:
        at.append(at[-1] + (2 if character > "\uffff" else 1))
    return [(at[start], at[stop]) for start, stop in spans]


def _shipped(pair: InspectedPair) -> dict[str, object]:
    offsets = {
        f"{side}_{what}": utf16_offsets(text, spans)
        for side, text in (("chosen", pair["chosen"]), ("rejected", pair["rejected"]))
        for what, spans in (("marks", pair[f"{side}_marks"]), ("spans", pair[f"{side}_spans"]))  # type: ignore[literal-required]
    }
    return {**pair, **offsets}


def _videos(data: InspectPage) -> list[dict[str, object]]:
    """Without the pictures, which stand on their own so that the browser does not parse them all at once."""
    return [
        {
            "id": video["id"],
            "path": video["path"],
            "problem": video["problem"],
            "sheet": {key: value for key, value in video["sprite"].items() if key != "jpeg"} if video["sprite"] else None,
        }
        for video in data["videos"]
    ]


def _sections(data: InspectPage) -> list[Section]:
    counted = [table([title, "pairs"], Counter(counts).most_common()) for title, counts in data["counts"].items()]
    sections = [Section("All pairs, counted", f"{data['total']:,} pairs of {data['total_videos']:,} videos.", counted)]
    if "stages" in data:
        sections.append(Section("What was kept and what was not", blocks=[outcome_table(data["stages"])]))
    if data.get("rejected"):
        text = "Stage by stage and reason by reason: failed means that it could not be used, filtered that a rule said no."
        groups = [
            render("rejected.html.j2", group=group, rows=table(group["headers"], group["rows"])) for group in data["rejected"]
        ]
        sections.append(Section("What was rejected, and why", text, groups))
    problems = [[video["path"] or video["id"], video["problem"]] for video in data["videos"] if video["problem"]]
    if problems:
        sections.append(Section("Videos without frame strips", blocks=[table(["video", "why"], problems)]))
    if data.get("warnings"):
        sections.append(Section("Warnings", blocks=[table(["warning", "videos"], data["warnings"])]))
    return sections
