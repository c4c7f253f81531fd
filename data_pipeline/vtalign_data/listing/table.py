"""`annotations.parquet` of a run: what the manifest says of the videos that were kept, one line per caption and question."""

import hashlib
import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import pyarrow.parquet as pq

from vtalign.artifacts import write_parquet_batches
from vtalign.errors import InputError
from vtalign_data.listing.annotations import ANNOTATIONS, SCHEMA, annotation_rows
from vtalign_data.listing.index import Listing
from vtalign_data.stage import Row, Stage

_GROUP = 4096  # rows of a row group
_DIGEST = b"vtalign.listing"


def write_annotations(out: Path, listing: Listing, scanned: Stage, kept: Stage) -> int:
    """Write the table unless it is there; returns how many lines it has. Sorted by video and row.

    What is said of a video that was lost is lost with it: the video has its line in `rejected.jsonl`. Raises InputError where the
    manifest says something else than when the run wrote it.
    """
    path, digest = out / ANNOTATIONS, _digest(listing)
    if not path.is_file():
        found = listing.annotated(
            ((row["video"], row["video_id"]) for row in scanned.rows(["video", "video_id"])),
            ((row["video_id"], row["video"]) for row in kept.rows(["video_id", "video"])),
        )
        lines = chain.from_iterable(annotation_rows(*annotated) for annotated in found)
        write_parquet_batches(path, _batches(lines), SCHEMA.with_metadata({_DIGEST: digest}))
    file = pq.read_metadata(path)
    if (file.metadata or {}).get(_DIGEST) != digest:
        raise InputError(
            f"{path}: was written from other captions and questions than the manifest has now: choose another output folder"
        )
    return int(file.num_rows)


def _batches(lines: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(lines, _GROUP)):
        yield batch


def _digest(listing: Listing) -> bytes:
    digest = hashlib.sha256()
    for path, _, annotation in listing.annotations():
        digest.update(json.dumps([path, annotation]).encode())
    return digest.hexdigest().encode()
