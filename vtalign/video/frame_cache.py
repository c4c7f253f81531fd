"""Decoded, resized frames on disk, so that later stages, epochs and evaluations do not decode again."""

import contextlib
import errno
import logging
import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np

from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign.video.sample import FramePolicy

logger = logging.getLogger(__name__)

LEFT_FREE = 2**30
"""Bytes of the disk that are left to everything else: frames can be decoded again, results cannot."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


class FrameCache:
    """One `.npz` per video (`indices` (N,), `frames` (N, H, W, 3)) in a folder per reader and frame size rule.

    Written by rename, so a kill leaves the old file or the new one; a file damaged otherwise fails its checksum and is decoded
    again. Two writers at once may lose frames of one of them, which are then decoded again too, and so are frames for which the disk
    has no room.
    """

    def __init__(self, folder: Path, reader: str, max_pixels: int, multiple: int, size: tuple[int, int] | None = None) -> None:
        rule = f"{max_pixels}px-x{multiple}" if size is None else f"{size[0]}x{size[1]}"
        self._folder = folder / f"{reader}-{rule}-v1"
        self._told_of_no_room = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise InputError(f"{folder}: cannot hold the frame cache: {error.strerror}") from None

    @classmethod
    def for_policy(cls, folder: Path, reader: str, policy: FramePolicy) -> Self:
        return cls(folder, reader, policy.max_pixels, policy.multiple, policy.size)

    def kept_bytes(self, video_ids: Iterable[str]) -> int:
        """What the frames of these videos take of the disk."""
        total = 0
        for video_id in video_ids:
            with contextlib.suppress(OSError):
                total += self._path(video_id).stat().st_size
        return total

    def held(self, video_id: str) -> set[int]:
        """Indices of the frames that are there."""
        arrays = self._read(video_id, "indices")
        return set(arrays[0].tolist()) if arrays else set()

    def get(self, video_id: str, wanted: Iterable[int]) -> dict[int, np.ndarray]:
        """Those of the wanted frames that are there, each uint8 (H, W, 3)."""
        arrays = self._read(video_id, "indices", "frames")
        if not arrays:
            return {}
        at = {int(index): i for i, index in enumerate(arrays[0])}
        # Copies, so that keeping a few of the frames does not keep all of the file in memory.
        return {index: arrays[1][at[index]].copy() for index in wanted if index in at}

    def add(self, video_id: str, frames: dict[int, np.ndarray]) -> None:
        """Keep more frames of a video, beside those of their size that are there; none, and a warning once, where the disk has no room."""
        arrays = self._read(video_id, "indices", "frames")
        old = dict(zip(arrays[0].tolist(), arrays[1], strict=True)) if arrays else {}
        if {frame.shape for frame in old.values()} != {frame.shape for frame in frames.values()}:
            old = {}  # a video whose frames come in several sizes, read in parts
        merged = dict(sorted({**old, **frames}.items()))
        path = self._path(video_id)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            if shutil.disk_usage(self._folder).free < sum(frame.nbytes for frame in merged.values()) + LEFT_FREE:
                raise OSError(errno.ENOSPC, f"less than {LEFT_FREE // 2**30} GiB would be left on the disk")
            path.parent.mkdir(exist_ok=True)
            with partial.open("wb") as handle:
                np.savez(handle, indices=np.array(list(merged), dtype=np.int64), frames=np.stack(list(merged.values())))
            # Not synced: losing the file in a power cut costs a decode, syncing thousands of files costs minutes.
            os.replace(partial, path)
        except OSError as error:
            if not self._told_of_no_room:
                logger.warning(
                    "%s: frames that are not there yet are not kept but decoded again (%s)", self._folder, error.strerror
                )
            self._told_of_no_room = True
        finally:
            partial.unlink(missing_ok=True)

    def _read(self, video_id: str, *names: str) -> list[np.ndarray]:
        path = self._path(video_id)
        try:
            with np.load(path, allow_pickle=False) as archive:
                return [archive[name] for name in names]
        except FileNotFoundError:
            return []
        except (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError, RuntimeError) as error:
            logger.warning("%s: damaged frame cache entry, decoding again (%s)", path, error)
            return []

    def _path(self, video_id: str) -> Path:
        name = video_id if _PLAIN_NAME.fullmatch(video_id) else stable_id("video", video_id)
        return self._folder / name[-2:] / f"{name}.npz"
