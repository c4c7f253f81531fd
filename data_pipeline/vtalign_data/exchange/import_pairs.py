"""`vtalign data import`: rows of another trainer, or RRPO's released ones, as pairs that `vtalign train` takes.

What such a row lacks is made here: its video is probed and sampled by a frame policy. Scores it has none: training scores pairs that
carry no fingerprint of its reference model itself.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from vtalign.artifacts import claim_run_folder, hold_run_folder, remove_leftovers, write_json
from vtalign.errors import InputError, RunFailed, VideoError
from vtalign.ids import file_hash, stable_id
from vtalign.models.load import frame_policy_of
from vtalign.preference.exports.row import PreferenceRow, RowError
from vtalign.preference.pair import PreferencePair, Source, group_id_of
from vtalign.preference.schema import write_pairs
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.paths import confined
from vtalign.video.probe import VideoInfo
from vtalign.video.sample import FramePolicy, sample
from vtalign_data.exchange.files import write_lines
from vtalign_data.exchange.import_config import ImportConfig
from vtalign_data.exchange.import_rows import Place, read_rows
from vtalign_data.exchange.losses import in_words, keep_losses
from vtalign_data.progress import BuildProgress, SilentProgress
from vtalign_data.stage import BatchResult, Rejected, Stage

_TEXT_ONLY = "text_only"  # noted: where a video was meant, its row has neither path nor tag

PROBED = pa.schema([("video", pa.string()), ("info", pa.string())])  # info: JSON


@dataclass(frozen=True)
class ImportSummary:
    """`lost`: rows by reason, all of them in `rejected.jsonl`; `notes`: rows of which something was put right."""

    out: Path
    pairs: int
    videos: int
    lost: dict[str, int]
    notes: dict[str, int]

    def line(self) -> str:
        said = [f"{self.out / 'pairs'}: {self.pairs} pairs about {self.videos} videos"]
        for name, counts in (("lost", self.lost), ("noted", self.notes)):
            if counts:
                said.append(f"{name}: {in_words(counts)}")
        return "; ".join(said)


def run_import(config: ImportConfig, progress: BuildProgress | None = None) -> ImportSummary:
    """Write `config.out/pairs`; a row that cannot be used costs its line in `rejected.jsonl`.

    Raises InputError (nothing to read, no model, with `strict` the first bad row), RunFailed where no pair is left.
    """
    told = progress or SilentProgress()
    if not config.videos.is_dir():
        raise InputError(f"{config.videos}: no such folder of videos")
    root = config.videos.resolve()
    rows, lost = _read(config, root)
    policy = config.frames.apply(frame_policy_of(config.model) if config.model is not None else FramePolicy())
    claim_run_folder(config.out, _settings(config, policy), "data import")
    with hold_run_folder(config.out):
        return _write_all(config, root, rows, lost, policy, told)


def _write_all(
    config: ImportConfig,
    root: Path,
    rows: Sequence[tuple[Place, PreferenceRow]],
    lost: list[Rejected],
    policy: FramePolicy,
    told: BuildProgress,
) -> ImportSummary:
    videos = sorted({video for _, row in rows for video in _videos(row)})
    infos, failed = _probe(videos, config, root, told) if videos else ({}, {})
    pairs: dict[str, PreferencePair] = {}
    places: dict[str, Place] = {}
    notes: Counter[str] = Counter()
    for place, row in rows:
        bad = next((failed[video] for video in _videos(row) if video in failed), None)
        if bad is not None:
            lost.append(Rejected(place, "failed", bad.reason, f"{bad.id}: {bad.detail}"))
            continue
        pair = _pair(row, infos, policy, config.source) if row.video is not None else _text_pair(row)
        if pair.chosen == pair.rejected and pair.rejected_view == pair.view:
            lost.append(Rejected(place, "failed", "equal_sides", "two files of the same content, and one response"))
            continue
        if pair.pair_id in pairs:
            lost.append(Rejected(place, "filtered", "duplicate", f"says the same as {places[pair.pair_id]}"))
            continue
        pairs[pair.pair_id], places[pair.pair_id] = pair, place
        notes.update(row.notes if row.video is not None else (*row.notes, _TEXT_ONLY))
    by_reason = keep_losses(config.out, lost, told)
    if not pairs:
        reasons = in_words(by_reason) or "the file has none"
        raise RunFailed(f"{config.out}: no pairs left of {len(lost)} rows ({reasons}); see {config.out / 'rejected.jsonl'}")
    write_pairs(config.out / "pairs", pairs.values())
    write_lines(config.out / "index.jsonl", ({"pair_id": pair_id, "row": place} for pair_id, place in places.items()))
    shown = len({pair.video_id for pair in pairs.values() if pair.view is not None})
    summary = ImportSummary(config.out, len(pairs), shown, by_reason, dict(sorted(notes.items())))
    write_json(config.out / "summary.json", {**asdict(summary), "out": str(config.out)})
    remove_leftovers(config.out)
    return summary


def _settings(config: ImportConfig, policy: FramePolicy) -> dict[str, Any]:
    settings = config.model_dump(mode="json", exclude={"out", "workers", "limits", "frames", "model"})
    named = {name: str(getattr(config, name).resolve()) for name in ("file", "videos")}
    return {"config": {**settings, **named}, "rows": file_hash(config.file), "policy": policy.model_dump(mode="json")}


def _read(config: ImportConfig, root: Path) -> tuple[list[tuple[Place, PreferenceRow]], list[Rejected]]:
    """The rows that can be used, their videos as paths relative to the root, and the others."""
    rows, lost = [], []
    for place, row in read_rows(config.file, config.format):
        if not isinstance(row, RowError):
            rows.append((place, _relative(row, root)))
        elif config.strict:
            raise InputError(f"{config.file.parent / place}: {row}")
        else:
            lost.append(Rejected(place, "failed", row.reason, row.detail))
    return rows, lost


def _relative(row: PreferenceRow, root: Path) -> PreferenceRow:
    """Absolute paths under `root` made relative to it; others stay, for `confined` to refuse."""

    def relative(video: str | None) -> str | None:
        if video is None or not Path(video).is_absolute():
            return video
        plain = Path(os.path.normpath(video))
        return plain.relative_to(root).as_posix() if plain.is_relative_to(root) else video

    return replace(row, video=relative(row.video), rejected_video=relative(row.rejected_video))


def _videos(row: PreferenceRow) -> tuple[str, ...]:
    return tuple(video for video in (row.video, row.rejected_video) if video is not None)


def _probe(
    videos: Sequence[str], config: ImportConfig, root: Path, told: BuildProgress
) -> tuple[dict[str, VideoInfo], dict[str, Rejected]]:
    """What each video holds, and those that cannot be read, by path; kept in the run folder batch by batch."""
    stage = Stage(config.out / "stages" / "01-videos", PROBED, "video")
    with DecodeWorkers(config.workers, config.limits) as workers:

        def probe(batch: Sequence[str]) -> BatchResult:
            result = BatchResult()
            paths: dict[str, Path] = {}
            for video in batch:
                try:
                    paths[video] = confined(root, video)
                except VideoError as error:
                    result.rejected.append(Rejected(video, "failed", error.reason, error.detail))
            for video, info in zip(paths, workers.map_probe(paths.values()), strict=True):
                if isinstance(info, VideoError):
                    result.rejected.append(Rejected(video, "failed", info.reason, info.detail))
                else:
                    result.rows.append({"video": video, "info": json.dumps(info.to_dict())})
            return result

        told.start(stage.name, len(videos), "video")
        stage.run(videos, str, probe, batch_size=config.batch_size, on_batch=told.advance)
    infos = {row["video"]: VideoInfo.from_dict(json.loads(row["info"])) for row in stage.rows()}
    return infos, {loss.id: loss for loss in stage.rejected()}


def _pair(row: PreferenceRow, infos: Mapping[str, VideoInfo], policy: FramePolicy, source: Source) -> PreferencePair:
    """The pair of a row whose videos are probed. A rejected video of its own is a second video of the pair, sampled alike."""
    assert row.video is not None
    info = infos[row.video]
    view = sample(info, policy)
    other = infos[row.rejected_video] if row.rejected_video is not None else None
    rejected_view = sample(other, policy) if other is not None else None
    group_id = group_id_of(view.view_id, row.prompt, row.chosen)
    own = [rejected_view.view_id] if rejected_view is not None else []
    foreign: tuple[tuple[str, str], ...] = ()
    if other is not None and row.rejected_video is not None and other.video_id != info.video_id:
        foreign = ((other.video_id, row.rejected_video),)
    return PreferencePair(
        pair_id=stable_id("pair", group_id, row.rejected, *own),
        group_id=group_id,
        video_id=info.video_id,
        video=row.video,
        view_id=view.view_id,
        view=view,
        prompt=row.prompt,
        chosen=row.chosen,
        rejected=row.rejected,
        source=source,
        sampling={"policy": policy.model_dump(mode="json"), "reader": "pyav"},
        rejected_view=rejected_view,
        chosen_spans=row.chosen_spans,
        rejected_spans=row.rejected_spans,
        other_videos=foreign,
    )


def _text_pair(row: PreferenceRow) -> PreferencePair:
    """The pair of a row of text alone, which shows nothing."""
    group_id = group_id_of("", row.prompt, row.chosen)
    return PreferencePair(
        pair_id=stable_id("pair", group_id, row.rejected),
        group_id=group_id,
        video_id=stable_id("text", row.prompt),
        video="",
        view_id="",
        view=None,
        prompt=row.prompt,
        chosen=row.chosen,
        rejected=row.rejected,
        source="text",
        chosen_spans=row.chosen_spans,
        rejected_spans=row.rejected_spans,
    )
