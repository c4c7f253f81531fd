"""The stage `annotations`: what a manifest or a file of annotations says, joined with the videos of the build by path."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from vtalign.errors import InputError
from vtalign_data.annotated.annotation import Annotation
from vtalign_data.ingest_config import ColumnConfig
from vtalign_data.listing.annotations import annotation_rows
from vtalign_data.listing.entries import BadEntry
from vtalign_data.listing.source import manifest_entries
from vtalign_data.stage import BatchResult, Rejected, Row

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("annotation_id", "video_id", "video", "kind", "question", "truth")),
        ("options", pa.list_(pa.string())),
        ("place", pa.string()),
    ]
)


class Placed(NamedTuple):
    """What the row at `place` (`file:line`) says of the video at `path`: JSON (listing/annotations.py), None where it says nothing."""

    place: str
    path: str
    annotation: str | None


def read_annotations(file: Path, columns: ColumnConfig, root: Path) -> list[Placed | BadEntry]:
    """All rows of an annotation file: .jsonl, .csv, .tsv or .parquet. Raises InputError where it cannot be read or lacks a column."""
    if not file.is_file():
        raise InputError(f"{file}: no such file of annotations")
    entries = manifest_entries(file, root, columns)
    rows = [
        entry if isinstance(entry, BadEntry) else Placed(f"{file.name}:{entry.row}", entry.path, entry.annotation)
        for entry in entries
    ]
    if not rows:
        raise InputError(f"{file}: holds no annotations")
    return rows


def join(
    rows: Sequence[Placed | BadEntry],
    known: Mapping[str, tuple[str, str]],
    placeholders: Sequence[str] = (),
    longest: int | None = None,
) -> BatchResult:
    """The annotations of one batch of rows.

    `known`: (video_id, path) by path of every video, of its copies too. `placeholders`: media placeholders and special tokens, which
    no prompt may hold. `longest`: characters of an annotation, at most.
    """
    result = BatchResult()
    for row in rows:
        if isinstance(row, BadEntry):
            result.rejected.append(Rejected(*row))
        elif row.annotation is None:
            result.rejected.append(
                Rejected(row.place, "failed", "no_annotation", "neither a caption nor a question with its answer")
            )
        elif row.path not in known:
            detail = f"{row.path} is none of the videos that the build can show"
            result.rejected.append(Rejected(row.place, "failed", "no_such_video", detail))
        else:
            video_id, video = known[row.path]
            for said in annotation_rows(video_id, video, 0, row.annotation):
                annotation = _annotation(said)
                whole = " ".join((annotation.question, *annotation.options, annotation.truth))
                annotation_id = annotation.id_for(video_id)
                if found := next((token for token in placeholders if token in whole), None):
                    result.rejected.append(Rejected(f"{row.place} {annotation_id}", "filtered", "placeholder", found))
                    continue
                if longest is not None and len(whole) > longest:
                    detail = f"{len(whole)} characters, annotations.max_characters is {longest}"
                    result.rejected.append(Rejected(f"{row.place} {annotation_id}", "filtered", "too_long", detail))
                    continue
                result.rows.append(
                    {
                        "annotation_id": annotation_id,
                        "video_id": video_id,
                        "video": video,
                        "kind": annotation.kind,
                        "question": annotation.question,
                        "truth": annotation.truth,
                        "options": list(annotation.options),
                        "place": row.place,
                    }
                )
    return result


def by_video(rows: Iterator[Row]) -> dict[str, dict[str, Annotation]]:
    """video_id -> annotation_id -> annotation; what was said twice is there once."""
    found: dict[str, dict[str, Annotation]] = {}
    for row in rows:
        said = Annotation(row["kind"], row["question"], row["truth"], tuple(row["options"]))
        found.setdefault(row["video_id"], {})[row["annotation_id"]] = said
    return found


def _annotation(line: Row) -> Annotation:
    if line["kind"] == "caption":
        return Annotation("caption", "", line["text"].strip())
    return Annotation("qa", line["question"].strip(), line["answer"].strip(), tuple(line["options"] or ()))
