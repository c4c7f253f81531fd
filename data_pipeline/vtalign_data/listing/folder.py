"""Files of a folder, all or those that a glob names. Hidden files are left out; links to folders are bad entries."""

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path

from vtalign_data.listing.entries import BadEntry, Entry

SUFFIXES = {
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
}

_NOT_FOLLOWED = "links to folders are not followed; give the folder itself or a manifest"


def list_folder(folder: Path, extensions: frozenset[str]) -> Iterator[Entry | BadEntry]:
    """Files with one of the `extensions` (lower case, with dot), to the bottom; a folder that cannot be read is a bad entry."""
    for found in _walk(folder):
        if isinstance(found, BadEntry) or _suffix(found.path) in extensions:
            yield found


def split_glob(pattern: Path) -> tuple[Path, str]:
    """The folder that a glob starts in, and the rest: `data/*/x*.mp4` -> (data, `*/x*.mp4`)."""
    parts = pattern.parts
    first = next(number for number, part in enumerate(parts) if has_magic(part))
    return Path(*parts[:first]), "/".join(parts[first:])


def list_glob(folder: Path, pattern: str, extensions: frozenset[str] | None) -> Iterator[Entry | BadEntry]:
    """Files under `folder` whose path matches: `*`, `?`, `[..]` within a name, `**` for any folders. None: any extension."""
    wanted = pattern.split("/")
    for found in _walk(folder):
        if isinstance(found, BadEntry):
            if found.reason != "linked_folder" or _reaches_into(found.place.removesuffix("/").split("/"), wanted):
                yield found
        elif matches(found.path.split("/"), wanted) and (extensions is None or _suffix(found.path) in extensions):
            yield found


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Does a path, in parts, match a glob, in parts? Case counts."""
    # The standard library's globs either follow links in circles or keep every path they have seen.
    return len(pattern) in _reached(parts, pattern)


def _reaches_into(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Can a path below a folder match?"""
    return any(place < len(pattern) for place in _reached(parts, pattern))


def _reached(parts: Sequence[str], pattern: Sequence[str]) -> set[int]:
    """The places in the pattern at which what follows a path, in parts, goes on."""
    reached = {0}
    for part in parts:
        reached = {place for start in _with_empty(reached, pattern) for place in _after(start, part, pattern)}
    return _with_empty(reached, pattern)


def _with_empty(places: set[int], pattern: Sequence[str]) -> set[int]:
    """`places` in the pattern, and those behind a `**` that stands for no folder at all."""
    found = set(places)
    for place in sorted(places):
        while place < len(pattern) and pattern[place] == "**":
            place += 1
            found.add(place)
    return found


def _after(place: int, part: str, pattern: Sequence[str]) -> list[int]:
    if place == len(pattern):
        return []
    if pattern[place] == "**":
        return [place]
    return [place + 1] if fnmatchcase(part, pattern[place]) else []


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _walk(folder: Path) -> Iterator[Entry | BadEntry]:
    """Entry by entry, so that a folder of a million files is never held as a list."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    path = f"{inside}/{entry.name}" if inside else entry.name
                    if not entry.is_dir():
                        yield Entry(path)
                    elif not entry.is_symlink():
                        waiting.append(path)
                    else:
                        yield BadEntry(f"{path}/", "failed", "linked_folder", _NOT_FOLLOWED)
        except OSError as error:
            yield BadEntry(f"{inside or '.'}/", "failed", "unreadable", f"this folder cannot be read: {error.strerror}")
