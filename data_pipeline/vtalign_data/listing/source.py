"""Where a corpus is listed: a folder, a glob or a manifest file, and the root that its paths are confined to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from glob import has_magic
from pathlib import Path

from vtalign.errors import InputError
from vtalign_data.ingest_config import ColumnConfig
from vtalign_data.listing.annotations import BadValue, read_annotation, read_text
from vtalign_data.listing.entries import BadEntry, Entry, relative_path
from vtalign_data.listing.folder import SUFFIXES, list_folder, list_glob, split_glob
from vtalign_data.listing.manifest import BadRow, read_manifest


@dataclass(frozen=True)
class Source:
    """`entries` lists what there is, each time afresh and in any order; `nothing` says in one line that it listed nothing;
    `manifest` is the name that rows are told by, None for folders and globs."""

    root: Path
    entries: Callable[[], Iterator[Entry | BadEntry]]
    nothing: str
    manifest: str | None = None


def find_source(videos: Path, root: Path | None, columns: ColumnConfig, extensions: tuple[str, ...] | None) -> Source:
    """The source that `videos` names; nothing is listed yet.

    A folder is searched to the bottom for files with one of `extensions` (default: those of videos). A glob (`videos/**/*.mp4`)
    starts in the folder before its first wildcard. A manifest's paths are relative to `root` (default: its own folder). Paths are
    not checked here: a wrong one costs a line in the scan. Raises InputError.
    """
    kept = None if extensions is None else frozenset(extensions)
    if videos.is_dir():
        suffixes = kept or frozenset(SUFFIXES)
        _own_root(videos, videos, root)
        nothing = f"{videos}: no videos in this folder (looked for {' '.join(sorted(suffixes))})"
        return Source(videos, partial(list_folder, videos, suffixes), nothing)
    if not videos.exists() and has_magic(str(videos)):
        folder, pattern = split_glob(videos)
        if not folder.is_dir():
            raise InputError(f"{videos}: no such folder: {folder}")
        _own_root(videos, folder, root)
        return Source(folder, partial(list_glob, folder, pattern, kept), f"{videos}: no file matches")
    return _manifest_source(videos, root, columns, kept)


def _own_root(videos: Path, folder: Path, root: Path | None) -> None:
    if root is not None and root.resolve() != folder.resolve():
        raise InputError(f"root={root}: only for manifests; the folder {folder} is its own root")


def _manifest_source(videos: Path, root: Path | None, columns: ColumnConfig, extensions: frozenset[str] | None) -> Source:
    if not videos.is_file():
        raise InputError(f"{videos}: no such folder of videos or manifest file")
    if videos.suffix.lower() in SUFFIXES:
        raise InputError(f"{videos}: is a video; give the folder that it lies in, or a manifest (.txt, .jsonl, .csv, .parquet)")
    root = root if root is not None else videos.parent
    if not root.is_dir():
        raise InputError(f"{root}: no such folder (root of the manifest {videos})")
    entries = partial(manifest_entries, videos, root, columns, extensions)
    return Source(root, entries, f"{videos}: this manifest lists no videos", videos.name)


def manifest_entries(
    manifest: Path, root: Path, columns: ColumnConfig, extensions: frozenset[str] | None = None
) -> Iterator[Entry | BadEntry]:
    """What the rows of a manifest name and say, in its order. Raises InputError where it cannot be read or lacks a column."""
    base = str(root.resolve())
    for record in read_manifest(manifest, columns):
        place = f"{manifest.name}:{record.row}"
        if isinstance(record, BadRow):
            yield BadEntry(place, "failed", record.reason, record.detail)
            continue
        try:
            if columns.video not in record.values:
                raise BadValue("missing_column", f"no '{columns.video}' in this row")
            path = read_text(record.values[columns.video], columns.video)
            if path is None:
                raise BadValue("empty_path", f"{columns.video}: names no file")
            annotation = read_annotation(record.values, columns) if columns.has_annotations else None
        except BadValue as error:
            yield BadEntry(place, "failed", error.reason, error.detail)
            continue
        if extensions is not None and Path(path).suffix.lower() not in extensions:
            yield BadEntry(place, "filtered", "extension", f"{path}: not one of {' '.join(sorted(extensions))}")
        else:
            yield Entry(relative_path(path, base), record.row, annotation)
