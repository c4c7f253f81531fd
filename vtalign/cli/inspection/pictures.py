"""The pictures of the strips: each video is decoded once, forward, and kept as one small sprite."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vtalign.cli.inspection.views import Cell
from vtalign.errors import InputError, VideoError
from vtalign.report.sprites import Sprite, sprite
from vtalign.video.isolated import DecodeWorkers, ReadRequest
from vtalign.video.paths import confined
from vtalign.video.readers import check_reader
from vtalign.video.sample import FramePolicy
from vtalign.video.transforms import apply_transform

SPRITE_BYTES = 24_000_000
"""Room for pictures on a page, base64: a browser opens a file of this size at once."""

# About 96 x 64 pixels; multiples of 8, so that neighbours in a JPEG do not bleed into each other.
_SIZE = FramePolicy(max_pixels=96 * 64, multiple=8)
_WORKERS = 2


@dataclass(frozen=True)
class Footage:
    """What is to be drawn of one video: `path` relative to the root (None: not known), and how its frames were counted."""

    path: str | None
    reader: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Pictures:
    """`sprites` of the videos that could be read, `problems` of those that could not; the others found no room."""

    sprites: dict[str, Sprite]
    problems: dict[str, str]


def draw_pictures(
    footage: Mapping[str, Footage], root: Path, advance: Callable[[], object], room: int = SPRITE_BYTES
) -> Pictures:
    """Sprites in the order of `footage` until `room` bytes are used; `advance` is called after each video.

    Raises InputError for a reader that is not installed here (another reader may show other frames).
    """
    pictures = Pictures({}, {})
    paths: dict[str, Path] = {}
    for video_id, wanted in footage.items():
        try:
            check_reader(wanted.reader)
            paths[video_id] = _path(root, wanted)
        except VideoError as error:
            pictures.problems[video_id] = f"{error.reason}: {error.detail}"
            advance()
    used = 0
    with DecodeWorkers(_WORKERS) as workers:
        for video_id, frames in zip(paths, workers.map_read(_requests(footage, paths)), strict=True):
            advance()
            if isinstance(frames, VideoError):
                pictures.problems[video_id] = f"{frames.reason}: {frames.detail}"
                continue
            try:
                drawn = sprite(_cells(footage[video_id].cells, frames))
            except InputError as error:  # a frame transform that is not known here
                pictures.problems[video_id] = str(error)
                continue
            if used + len(drawn["jpeg"]) > room:
                break
            used += len(drawn["jpeg"])
            pictures.sprites[video_id] = drawn
    return pictures


def _path(root: Path, wanted: Footage) -> Path:
    if wanted.path is None:
        raise VideoError("", "missing", "its path is not known here")
    if not wanted.cells:
        raise VideoError(wanted.path, "blank", "no frame of it is shown")
    return confined(root, wanted.path)


def _requests(footage: Mapping[str, Footage], paths: Mapping[str, Path]) -> Iterator[ReadRequest]:
    for video_id, path in paths.items():
        wanted = footage[video_id]
        yield ReadRequest(path, sorted({frame for frame, _ in wanted.cells}), _SIZE, wanted.reader)


def _cells(cells: Sequence[Cell], frames: np.ndarray) -> list[np.ndarray]:
    """Transforms are drawn on the small picture: what they do shows, the very pixels that a model sees do not."""
    at = {frame: place for place, frame in enumerate(sorted({frame for frame, _ in cells}))}
    return [
        frames[at[frame]] if transform is None else apply_transform(frames[at[frame]], transform) for frame, transform in cells
    ]
