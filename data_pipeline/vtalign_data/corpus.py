"""From a source to the videos that a run works on: the listing and the first stages, put together."""

from pathlib import Path
from typing import TypeVar

from vtalign.errors import InputError
from vtalign.video.isolated import DecodeWorkers
from vtalign_data import ingest, near_videos, scan
from vtalign_data.config import BuildConfig
from vtalign_data.copies import group_copies
from vtalign_data.listing.index import Listing
from vtalign_data.listing.source import Source
from vtalign_data.listing.table import write_annotations
from vtalign_data.near_videos import NearDuplicates
from vtalign_data.runners.task import made, task
from vtalign_data.stage import Row, RunStage, Stage
from vtalign_data.stage_rows import StageRows

T = TypeVar("T")

_MOST_SCAN_PARTS = 1000
_NEVER_S = 1e9


def list_source(source: Source, folder: Path, limit: int | None) -> Listing:
    """All that the source lists, in an index on the disk of `folder`. Raises InputError where it lists nothing."""
    listing = Listing(source.entries(), folder, source.manifest, limit)
    if not len(listing.items):
        raise InputError(source.nothing)
    return listing


def scan_batch_size(batch_size: int, files: int) -> int:
    """Files of a scan's batch: `batch_size`, and more where a million files would else make tens of thousands of parts."""
    return batch_size * max(1, -(-files // (batch_size * _MOST_SCAN_PARTS)))


def ingest_corpus(
    config: BuildConfig,
    root: Path,
    listing: Listing,
    workers: DecodeWorkers,
    run_stage: RunStage,
    ahead: ingest.Ahead | None = None,
) -> Stage:
    """Scan and ingest what is listed, and drop near duplicates where that is asked for. `ahead`: see `ingest.ingest`.

    Returns the stage whose rows (ingest.SCHEMA) are the videos that stay; leaves `annotations.parquet` where the config maps them.
    """
    scanned = run_stage(
        "01-scan",
        ("file", "file"),
        scan.SCHEMA,
        listing.items,
        lambda listed: listed.id,
        task(scan.scan_listed, root).spread(),
        scan_batch_size(config.batch_size, len(listing.items)),
    )
    rules = config.ingest
    unbounded = config.limits.model_copy(update={"seek_beyond_s": _NEVER_S})
    whole = made(DecodeWorkers, config.workers, unbounded) if rules.check == "full" else None
    kept = run_stage(
        "02-ingest",
        ("video", "video"),
        ingest.SCHEMA,
        group_copies(scanned.rows(), config.out),
        lambda copies: copies[0]["video_id"],
        task(ingest.ingest, root, workers, config.reader, rules, whole, ahead),
        config.batch_size,
    )
    if rules.near_duplicates.max_distance is not None:
        kept = _without_near_duplicates(config, root, kept, workers, run_stage)
    if config.columns.has_annotations:
        write_annotations(config.out, listing, scanned, kept)
    return kept


def _without_near_duplicates(config: BuildConfig, root: Path, kept: Stage, workers: DecodeWorkers, run_stage: RunStage) -> Stage:
    rules = config.ingest.near_duplicates
    hashed = run_stage(
        "02a-frame-hashes",
        ("video", "video"),
        near_videos.SCHEMA,
        StageRows(kept),
        _video_id,
        task(near_videos.hash_frames, root, workers, rules.frames),
        config.batch_size,
    )
    near = NearDuplicates(hashed.rows(["video_id", "video", "duration", "hashes"]), rules, config.out)
    return run_stage(
        "02b-near-duplicates",
        ("video", "video"),
        ingest.SCHEMA,
        StageRows(hashed),
        _video_id,
        lambda batch: near_videos.drop_near_duplicates(batch, near),
        config.batch_size,
    )


def _video_id(row: Row) -> str:
    return str(row["video_id"])
