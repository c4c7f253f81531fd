"""Stage 1, scan: which files there are, and the content hash that names each."""

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa

from vtalign.errors import InputError, VideoError
from vtalign.ids import file_hash, stable_id
from vtalign.video.paths import confined
from vtalign_data.stage import BatchResult, Rejected

SUFFIXES = {
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
}

SCHEMA = pa.schema([("video", pa.string()), ("video_id", pa.string()), ("bytes", pa.int64())])


def list_videos(videos: Path, root: Path | None) -> tuple[Path, list[str]]:
    """(root, sorted distinct paths relative to it) of a folder of videos or of a manifest file.

    A folder is searched to the bottom for files with a video suffix; hidden ones are left out. A manifest is a text file with one
    path per line or JSONL with key `video`; its paths are relative to `root` (default: its own folder). Paths are not checked
    here: a wrong one costs a line in the scan. Raises InputError: nothing there, nothing listed, a line that cannot be read.
    """
    if videos.is_dir():
        if root is not None and root.resolve() != videos.resolve():
            raise InputError(f"root={root}: only for manifests; the folder {videos} is its own root")
        found = sorted(_walk(videos))
        if not found:
            raise InputError(f"{videos}: no videos in this folder (looked for {' '.join(sorted(SUFFIXES))})")
        return videos, found
    if not videos.is_file():
        raise InputError(f"{videos}: no such folder of videos or manifest file")
    if videos.suffix.lower() in SUFFIXES:
        raise InputError(f"{videos}: is a video; give the folder that it lies in, or a manifest (.txt, .jsonl)")
    root = root if root is not None else videos.parent
    if not root.is_dir():
        raise InputError(f"{root}: no such folder (root of the manifest {videos})")
    listed = sorted({_relative(path, root) for path in _read_manifest(videos)})
    if not listed:
        raise InputError(f"{videos}: this manifest lists no videos")
    return root, listed


def _walk(folder: Path) -> list[str]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                found.append((Path(parent) / name).relative_to(folder).as_posix())
    return found


def _read_manifest(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a UTF-8 text file") from None
    if path.suffix.lower() != ".jsonl":
        return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    listed = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            video = json.loads(line)["video"]
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path}:{number}: expected a JSON object with key 'video'") from None
        if not isinstance(video, str) or not video:
            raise InputError(f"{path}:{number}: video: expected a path, got {video!r}")
        listed.append(video)
    return listed


def _relative(path: str, root: Path) -> str:
    """`path` relative to `root` where it names something under it; else as it is, for the scan to refuse."""
    plain = PurePosixPath(os.path.normpath(path))
    if plain.is_absolute() and plain.is_relative_to(root.resolve().as_posix()):
        plain = plain.relative_to(root.resolve().as_posix())
    return plain.as_posix()


def scan(paths: Sequence[str], root: Path) -> BatchResult:
    """Hash one batch. What lies outside `root` (by `..`, absolute path or link), is missing or unreadable, is lost."""
    result = BatchResult()
    lost = partial(Rejected, outcome="failed")
    for path in paths:
        name = path.encode("utf-8", "backslashreplace").decode()
        if name != path:
            result.rejected.append(lost(name, reason="bad_name", detail="the file name is not valid UTF-8"))
            continue
        try:
            real = confined(root, path)
            if not real.is_file():
                result.rejected.append(lost(path, reason="not_a_file", detail="is a folder or a device"))
                continue
            video_id = stable_id("video", file_hash(real))
            result.rows.append({"video": path, "video_id": video_id, "bytes": real.stat().st_size})
        except VideoError as error:
            result.rejected.append(lost(path, reason=error.reason, detail=error.detail))
        except OSError as error:
            result.rejected.append(lost(path, reason="unreadable", detail=str(error.strerror)))
    return result
