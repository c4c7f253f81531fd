"""`vtalign data export`: pairs as rows of another trainer, and the files that those rows name."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from vtalign.artifacts import claim_run_folder, hold_run_folder, remove_leftovers, write_json
from vtalign.config import Config
from vtalign.errors import InputError, RunFailed, VideoError
from vtalign.ids import file_hash
from vtalign.preference.exports.formats import FORMATS, FormatName
from vtalign.preference.exports.row import PreferenceRow, RowError
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import pair_files, read_pairs
from vtalign.video.container import check_regular
from vtalign.video.paths import confined
from vtalign.video.view import VideoView
from vtalign_data.exchange.files import WRITERS, write_lines
from vtalign_data.exchange.losses import in_words, keep_losses
from vtalign_data.exchange.media import Rendering, is_whole, render_views
from vtalign_data.progress import BuildProgress, SilentProgress
from vtalign_data.stage import Rejected

_VIDEO_PIXELS, _IMAGE_PIXELS = 1920 * 1080, 384 * 384


class ExportConfig(Config):
    """`vtalign data export`: pairs in, a data file of another trainer out."""

    pairs: Path = Field(description="folder of pairs (*.parquet), or one file")
    to: FormatName = Field(description="trl, ms-swift, llamafactory or rrpo")
    videos: Path = Field(description="the folder that `video` in the pairs is relative to")
    out: Path = Field(description="folder for the rows and for rendered videos; run the same command again to resume")
    media_root: Path | None = Field(None, description="write paths relative to this folder (default: absolute paths)")
    vdpo: bool = Field(
        False, description="rows that compare views: the chosen response about the clean video and about the perturbed one"
    )
    skip_vdpo: bool = Field(False, description="leave out pairs with a second video where the format has no place for one")
    render_clean: bool = Field(
        False, description="render the clean view too: a trainer then meets the sampled frames, and both sides of VDPO alike"
    )
    max_pixels: int | None = Field(
        None, ge=4, description="height x width of rendered frames at most (default: 1920x1080 in videos, 384x384 in images)"
    )
    workers: int = Field(2, ge=1, description="decoder processes")


@dataclass(frozen=True)
class ExportSummary:
    """`lost`: pairs by reason, all of them in `rejected.jsonl`; `rendered`: distinct views that are files now."""

    out: Path
    file: Path
    rows: int
    rendered: int
    lost: dict[str, int]

    def line(self) -> str:
        lost = f"; lost: {in_words(self.lost)}" if self.lost else ""
        return f"{self.file}: {self.rows} rows, {self.rendered} rendered views{lost}"


def run_export(config: ExportConfig, progress: BuildProgress | None = None) -> ExportSummary:
    """Write `config.out`; a pair that cannot be written costs its line in `rejected.jsonl`.

    Raises InputError: nothing to read, VDPO pairs for a format without a second video, files outside `media_root`. RunFailed
    where no row is left.
    """
    told = progress or SilentProgress()
    if config.vdpo and not FORMATS[config.to].two_videos:
        able = ", ".join(name for name, form in FORMATS.items() if form.two_videos)
        raise InputError(f"vdpo: a row of {config.to} has no second video (formats that have one: {able})")
    if not config.videos.is_dir():
        raise InputError(f"{config.videos}: no such folder of videos")
    pairs = read_pairs(config.pairs)
    if not pairs:
        raise InputError(f"{config.pairs}: holds no pairs")
    pairs, skipped = _selected(pairs, config)
    _check_media_root(config)
    claim_run_folder(config.out, _settings(config), "data export")
    with hold_run_folder(config.out):
        return _write_all(config, pairs, skipped, told)


def _write_all(
    config: ExportConfig, pairs: Sequence[PreferencePair], skipped: list[Rejected], told: BuildProgress
) -> ExportSummary:
    names, lost_videos = _find_videos(pairs, config)
    rendering = _rendering(config)
    wanted = [view for pair in pairs if pair.video not in lost_videos for view in _rendered(pair, config)]
    if wanted:
        told.start("render", len({view.view_id for view in wanted}), "view")
    failed = render_views(wanted, config.videos, _paths_by_id(pairs), rendering, lambda count: told.advance(count, []))
    rows: list[dict[str, Any]] = []
    index: list[dict[str, Any]] = []
    lost = list(skipped)
    for pair in pairs:
        try:
            rows.append(_row(pair, config, names, lost_videos | failed, rendering))
        except (RowError, VideoError) as error:
            lost.append(Rejected(pair.pair_id, "failed", error.reason, error.detail))
            continue
        label = pair.perturbation.label if pair.perturbation else None
        index.append({"row": len(rows) - 1, "pair_id": pair.pair_id, "video_id": pair.video_id, "perturbation": label})
    lost.sort(key=lambda loss: (loss.id, loss.reason))
    by_reason = keep_losses(config.out, lost, told)
    if not rows:
        where = config.out / "rejected.jsonl"
        raise RunFailed(f"{config.out}: no rows left of {len(lost)} pairs ({in_words(by_reason)}); see {where}")
    write_lines(config.out / "index.jsonl", index)
    file = WRITERS[config.to](config.out, rows)
    rendered = len({view.view_id for view in wanted} - failed.keys())
    summary = ExportSummary(config.out, file, len(rows), rendered, by_reason)
    write_json(config.out / "summary.json", {**asdict(summary), "out": str(config.out), "file": str(file)})
    remove_leftovers(config.out)
    return summary


def _settings(config: ExportConfig) -> dict[str, Any]:
    """What decides the rows. The pairs by content: a folder that is built anew is another export."""
    settings = config.model_dump(mode="json", exclude={"out", "workers"})
    named = {name: str(getattr(config, name).resolve()) for name in ("pairs", "videos")}
    hashes = [file_hash(file) for file in pair_files(config.pairs)]
    return {"config": {**settings, **named}, "pairs": hashes}


def _selected(pairs: Sequence[PreferencePair], config: ExportConfig) -> tuple[list[PreferencePair], list[Rejected]]:
    """The pairs to write, and those that the user leaves out."""
    if config.vdpo:
        return _compared(pairs)
    second = [pair for pair in pairs if pair.rejected_view is not None]
    if not second or FORMATS[config.to].two_videos:
        return list(pairs), []
    if not config.skip_vdpo:
        raise InputError(
            f"{config.pairs}: {len(second)} of {len(pairs)} pairs have a rejected_view, and a row of {config.to} has one video "
            "for both sides; leave them out with --skip-vdpo, or export to ms-swift"
        )
    left = [Rejected(pair.pair_id, "filtered", "second_video", f"a row of {config.to} has one video") for pair in second]
    return [pair for pair in pairs if pair.rejected_view is None], left


def _compared(pairs: Sequence[PreferencePair]) -> tuple[list[PreferencePair], list[Rejected]]:
    """Each pair's chosen response on both sides, its other view on the rejected one; pairs that then say the same are one."""
    kept: dict[tuple[str, str], PreferencePair] = {}
    left = []
    for pair in pairs:
        other = pair.rejected_view or pair.perturbed_view
        if other is None:
            left.append(Rejected(pair.pair_id, "filtered", "no_second_view", "neither rejected_view nor perturbed_view"))
        elif (pair.group_id, other.view_id) in kept:
            same = kept[pair.group_id, other.view_id].pair_id
            left.append(Rejected(pair.pair_id, "filtered", "same_views", f"compares the same views as {same}"))
        else:
            kept[pair.group_id, other.view_id] = replace(pair, rejected=pair.chosen, rejected_view=other)
    return list(kept.values()), left


def _check_media_root(config: ExportConfig) -> None:
    if config.media_root is None:
        return
    root = config.media_root.resolve()
    outside = [folder for folder in (config.videos, config.out) if not folder.resolve().is_relative_to(root)]
    if outside:
        raise InputError(f"media_root={config.media_root}: {outside[0]} does not lie in it, so its files have no path from there")


def _find_videos(pairs: Sequence[PreferencePair], config: ExportConfig) -> tuple[dict[str, str], dict[str, VideoError]]:
    """(name in the rows, error) of each video by its path in the pairs: a file, and under the root."""
    names, lost = {}, {}
    for video in sorted({pair.video for pair in pairs if pair.view is not None}):
        try:
            check_regular(confined(config.videos, video))
            names[video] = _name(config.videos.resolve() / video, config)
        except VideoError as error:
            lost[video] = error
    return names, lost


def _name(file: Path, config: ExportConfig) -> str:
    absolute = file.absolute()
    return absolute.relative_to(config.media_root.resolve()).as_posix() if config.media_root is not None else str(absolute)


def _paths_by_id(pairs: Sequence[PreferencePair]) -> dict[str, str]:
    """Every path that the pairs have for a video; a view may show several videos."""
    others = {video_id: path for pair in pairs for video_id, path in pair.other_videos}
    return {**others, **{pair.video_id: pair.video for pair in pairs if pair.view is not None}}


def _rendering(config: ExportConfig) -> Rendering:
    images = FORMATS[config.to].images
    pixels = config.max_pixels or (_IMAGE_PIXELS if images else _VIDEO_PIXELS)
    return Rendering(config.out.resolve() / ("frames" if images else "videos"), images, pixels, config.workers)


def _clean_is_rendered(pair: PreferencePair, config: ExportConfig) -> bool:
    if pair.view is None:
        return False
    # beside a rendered rejected side the file itself would tell the sides apart by its encoding, length and rate
    compared = pair.rejected_view is not None
    return FORMATS[config.to].images or config.render_clean or compared or not is_whole(pair.view)


def _rendered(pair: PreferencePair, config: ExportConfig) -> Iterator[VideoView]:
    if pair.view is not None and _clean_is_rendered(pair, config):
        yield pair.view
    if pair.rejected_view is not None:
        yield pair.rejected_view


def _row(
    pair: PreferencePair, config: ExportConfig, names: dict[str, str], failed: dict[str, VideoError], rendering: Rendering
) -> dict[str, Any]:
    """Raises RowError, and VideoError where a video of the pair is among `failed` (by path or view id)."""
    own = [pair.video] if pair.view is not None else []
    for key in (*own, *(view.view_id for view in _rendered(pair, config))):
        if key in failed:
            raise failed[key]
    row = PreferenceRow(
        pair.prompt,
        pair.chosen,
        pair.rejected,
        video=names[pair.video] if pair.view is not None else None,
        chosen_spans=pair.chosen_spans,
        rejected_spans=pair.rejected_spans,
        id=pair.pair_id,
        source=pair.source,
    )
    if pair.view is not None and _clean_is_rendered(pair, config):
        files = tuple(_name(file, config) for file in rendering.files(pair.view))
        row = replace(row, frames=files) if rendering.as_images else replace(row, video=files[0])
    if pair.rejected_view is not None:
        row = replace(row, rejected_video=_name(rendering.path(pair.rejected_view), config))
    return FORMATS[config.to].write(row)
