"""What a source lists, one thing at a time."""

import os
from typing import NamedTuple

from vtalign_data.stage import Outcome


class Entry(NamedTuple):
    """A file that is named: `path` relative to the root where it lies under it. `row` counts the lines or rows of a manifest from 1
    (0: not from a manifest); `annotation` is what the row says of the video, as JSON (annotations.py), or None."""

    path: str
    row: int = 0
    annotation: str | None = None


class BadEntry(NamedTuple):
    """A row of a manifest that names no usable file, or a folder that is not searched. `place`: `list.csv:7`, or the folder."""

    place: str
    outcome: Outcome
    reason: str
    detail: str


def relative_path(path: str, root: str) -> str:
    """`path` normalised, relative to the resolved `root` where it is absolute and under it; else as it is, for the scan to refuse."""
    plain = os.path.normpath(path)
    return plain[len(root) :].lstrip("/") or "." if plain == root or plain.startswith(root.rstrip("/") + "/") else plain
