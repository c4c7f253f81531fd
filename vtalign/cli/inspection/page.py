"""From pairs on disk to `inspect.html`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vtalign.cli.build_evidence import stage_outcomes
from vtalign.cli.inspection.pictures import Footage, Pictures, draw_pictures
from vtalign.cli.inspection.rejected import rejected_groups
from vtalign.cli.inspection.selection import Selection, select_pairs
from vtalign.cli.inspection.source import InspectSource, find_source
from vtalign.cli.inspection.views import Cell, CellTable, cells_of, strip_of
from vtalign.errors import InputError
from vtalign.preference.pair import PreferencePair
from vtalign.preference.stream import stream_pairs
from vtalign.report.diff import differing_words
from vtalign.report.inspect_page import InspectedPair, InspectedVideo, InspectedView, InspectPage, write_inspect_page
from vtalign.video.segments import Segments
from vtalign.video.view import VideoView

_NO_ROOM = "no room for its pictures on this page"


def write_inspection(folder: Path, out: Path | None, videos: Path | None, limit: int, seed: int) -> tuple[Path, InspectPage]:
    """Write the page of `folder` (a build, or pairs); where it is, and what it shows.

    `out`: a file; None: `inspect.html` in the folder. `videos`: root of the videos; None: the build's own. At most `limit` pairs are
    shown, drawn by `seed`. Raises InputError where there are no pairs, or where they cannot be read.
    """
    source = find_source(folder, videos)
    target = out or source.home / "inspect.html"
    if not target.parent.is_dir() or target.is_dir():
        raise InputError(f"{target}: {'is a folder' if target.is_dir() else 'its folder does not exist'}; give --out FILE")
    data = inspection(source, str(folder), limit, seed)
    try:
        write_inspect_page(target, data)
    except PermissionError as error:
        raise InputError(f"{target}: cannot write there: {error.strerror}; give --out FILE") from None
    return target, data


def inspection(source: InspectSource, name: str, limit: int, seed: int) -> InspectPage:
    """What the page shows."""
    selection = select_pairs(source.pairs, limit, seed)
    pairs = sorted(stream_pairs(source.pairs, selection.pair_ids), key=lambda pair: (pair.video, pair.view_id, pair.pair_id))
    needed = cells_of(view for pair in pairs for view in views_of(pair))
    paths = _paths(source, pairs, needed)
    order = [*selection.videos, *sorted(needed.keys() - set(selection.videos))]
    pictures = _pictures(source, pairs, {video_id: needed.get(video_id, []) for video_id in order}, paths)
    table = CellTable(
        {video_id: place for place, video_id in enumerate(order)},
        {video_id: {cell: place for place, cell in enumerate(cells)} for video_id, cells in needed.items()},
    )
    cards, views = inspected_pairs(pairs, table, _segments(source, {pair.view_id for pair in pairs}))
    page: InspectPage = {
        "name": name,
        "total": selection.total,
        "total_videos": selection.total_videos,
        "pairs": cards,
        "views": views,
        "videos": [_video(video_id, paths, pictures, needed) for video_id in order],
        "counts": selection.counts,
        "notes": _notes(source, selection, pictures, seed),
    }
    if source.summary is not None:
        page["stages"] = stage_outcomes(source.summary)
        page["rejected"] = rejected_groups(source, source.summary["stages"])
        page["warnings"] = list(source.summary.get("warnings", {}).items())
    return page


def inspected_pairs(
    pairs: Sequence[PreferencePair], table: CellTable, segments: Mapping[str, Segments]
) -> tuple[list[InspectedPair], list[InspectedView]]:
    """The cards of `pairs`, and the strips that they share. `segments`: the clips of the clean views, by view id."""
    views: list[InspectedView] = []
    places: dict[tuple[str, str, str], int] = {}

    def place(view: VideoView | None, pair: PreferencePair) -> int | None:
        if view is None or not view.slots:
            return None
        clean = pair.view or view
        key = view.view_id, clean.view_id, pair.video_id
        if key not in places:
            same = view.view_id == clean.view_id
            places[key] = len(views)
            views.append(strip_of(clean if same else view, clean, segments.get(pair.view_id), table, pair.video_id))
        return places[key]

    cards = [
        _card(pair, table, place(pair.view, pair), place(pair.perturbed_view, pair), place(pair.rejected_view, pair))
        for pair in pairs
    ]
    return cards, views


def views_of(pair: PreferencePair) -> list[VideoView]:
    """The views that a pair shows, on whichever side."""
    return [view for view in (pair.view, pair.perturbed_view, pair.rejected_view) if view is not None]


def _card(
    pair: PreferencePair, table: CellTable, view: int | None, perturbed: int | None, rejected_view: int | None
) -> InspectedPair:
    applied = pair.perturbation
    chosen_marks, rejected_marks = differing_words(pair.chosen, pair.rejected)
    return {
        "id": pair.pair_id,
        "group": pair.group_id,
        "video": table.videos[pair.video_id],
        "view": view,
        "perturbed": perturbed,
        "rejected_view": rejected_view,
        "title": _label(pair),
        "name": applied.name if applied else "none",
        "strength": applied.strength if applied else None,
        "kind": pair.kind,
        "source": pair.source,
        "difficulty": _finite(pair.difficulty),
        "prompt": pair.prompt,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "chosen_marks": chosen_marks,
        "rejected_marks": rejected_marks,
        "chosen_spans": pair.chosen_spans,
        "rejected_spans": pair.rejected_spans,
        "scores": {name: _finite(value) for name, value in _scores(pair).items()},
        "fingerprint": pair.fingerprint,
    }


def _label(pair: PreferencePair) -> str:
    """`shuffle-4`, `reverse-2[frames=reversed]`: from what is written, so that it needs no perturbation to be installed here."""
    if pair.perturbation is None:
        return "no perturbation"
    spec = pair.perturbation.parameters.get("spec")
    options = {key: value for key, value in spec.items() if key not in ("name", "strength")} if isinstance(spec, dict) else {}
    return pair.perturbation.label + (f"[{', '.join(f'{key}={value}' for key, value in options.items())}]" if options else "")


def _scores(pair: PreferencePair) -> dict[str, float | None]:
    return {**vars(pair.scores), "margin": pair.scores.margin} if pair.scores is not None else {}


def _finite(value: float | None) -> float | None:
    """JSON knows no NaN; what is no number was not measured."""
    return value if value is not None and math.isfinite(value) else None


def _video(
    video_id: str, paths: Mapping[str, str], pictures: Pictures | None, needed: Mapping[str, Sequence[Cell]]
) -> InspectedVideo:
    sprite = pictures.sprites.get(video_id) if pictures else None
    lacking = pictures is not None and sprite is None and bool(needed.get(video_id))
    problem = pictures.problems.get(video_id, _NO_ROOM) if pictures and lacking else ""
    return {"id": video_id, "path": paths.get(video_id, ""), "sprite": sprite, "problem": problem}


def _pictures(
    source: InspectSource, pairs: Sequence[PreferencePair], needed: Mapping[str, Sequence[Cell]], paths: Mapping[str, str]
) -> Pictures | None:
    """None where nobody said where the videos are."""
    if source.root is None:
        return None
    readers = {pair.video_id: str((pair.sampling or {}).get("reader", "pyav")) for pair in pairs}
    footage = {
        video_id: Footage(paths.get(video_id), readers.get(video_id, "pyav"), cells)
        for video_id, cells in needed.items()
        if cells
    }
    with _progress(len(footage)) as progress:
        task = progress.add_task("frames", total=len(footage))
        return draw_pictures(footage, source.root, lambda: progress.advance(task))


@contextmanager
def _progress(videos: int) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("videos"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not videos) as progress:
        yield progress


def _paths(source: InspectSource, pairs: Sequence[PreferencePair], needed: Mapping[str, Any]) -> dict[str, str]:
    """video_id -> path. Views may show videos that no pair is about: the pairs tell where those are, else the build."""
    paths = {video_id: path for pair in pairs for video_id, path in pair.other_videos}
    paths |= {pair.video_id: pair.video for pair in pairs}
    if needed.keys() - paths.keys():
        rows = source.stage_rows("ingest", ["video_id", "video"])
        paths |= {row["video_id"]: row["video"] for row in rows if row["video_id"] in needed and row["video_id"] not in paths}
    return paths


def _segments(source: InspectSource, view_ids: set[str]) -> dict[str, Segments]:
    """The clips of the clean views, where the build tells."""
    return {
        row["view_id"]: tuple((bound["start"], bound["stop"]) for bound in row["segments"])
        for row in source.stage_rows("clips", ["view_id", "segments"])
        if row["view_id"] in view_ids
    }


def _notes(source: InspectSource, selection: Selection, pictures: Pictures | None, seed: int) -> list[str]:
    notes = []
    if len(selection.pair_ids) < selection.total:
        notes.append(
            f"A sample: {len(selection.pair_ids):,} of {selection.total:,} pairs, video by video, {len(selection.videos):,} of "
            f"{selection.total_videos:,} videos drawn with seed {seed}. The tables below count all pairs. --limit and --seed change it."
        )
    if pictures is None:
        notes.append(
            "No frame strips: nobody said where the videos are. --videos ROOT names the folder that their paths start from."
        )
    elif pictures.problems:
        notes.append(f"{len(pictures.problems):,} videos could not be drawn; they are listed below.")
    if pictures is not None and len(pictures.sprites) + len(pictures.problems) < len(selection.videos):
        notes.append(
            f"Pictures of {len(pictures.sprites):,} videos fill the room that this page has for them; --seed draws others, "
            "--limit asks for fewer pairs."
        )
    return notes
