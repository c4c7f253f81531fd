"""Views rendered to files for an export, one per distinct view; what is there stays, what cannot be rendered is a reason."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from vtalign.errors import VideoError
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.render import image_name, write_images, write_video
from vtalign.video.sample import FramePolicy
from vtalign.video.view import VideoView


@dataclass(frozen=True)
class Rendering:
    """Where rendered views go, how large, and as what: an mp4 named by view id, or a folder of images."""

    folder: Path
    as_images: bool
    max_pixels: int
    workers: int

    def path(self, view: VideoView) -> Path:
        return self.folder / (view.view_id if self.as_images else f"{view.view_id}.mp4")

    def files(self, view: VideoView) -> tuple[Path, ...]:
        """The files of a rendered view, images in the order of its slots."""
        path = self.path(view)
        return tuple(path / image_name(slot) for slot in range(len(view))) if self.as_images else (path,)


def is_whole(view: VideoView) -> bool:
    """Whether `view` shows one video in its order, nothing blank or changed, so that a trainer may be given the file itself.

    A view says nothing of the length of its file: one of a part of it, which neither builds nor imports make, passes too.
    """
    frames = [slot.frame for slot in view.slots]
    plain = all(slot.frame is not None and slot.transform is None for slot in view.slots)
    return plain and len({slot.video_id for slot in view.slots}) == 1 and frames == sorted(frames, key=lambda frame: frame or 0)


def render_views(
    views: Iterable[VideoView],
    root: Path,
    videos: Mapping[str, str],
    rendering: Rendering,
    on_done: Callable[[int], None],
) -> dict[str, VideoError]:
    """Render what is not there yet; failures by view id. `videos` has paths under `root` by video id.

    A file is there when it is whole and was compared with its frames, so a run that was killed goes on.
    """
    distinct = {view.view_id: view for view in views}
    missing = [view for view in distinct.values() if not rendering.path(view).exists()]
    on_done(len(distinct) - len(missing))
    rendering.folder.mkdir(parents=True, exist_ok=True)
    for leftover in rendering.folder.glob(".*.partial"):
        _remove(leftover)
    failed: dict[str, VideoError] = {}
    # sides of H.264 are even
    policy = FramePolicy(max_pixels=rendering.max_pixels, multiple=2)
    with DecodeWorkers(rendering.workers) as workers:
        for chunk in _by_video(missing, rendering.workers):
            # a store per chunk: what is rendered is not looked at again
            store = FrameStore(root, videos, policy, workers=workers)
            known = [view for view in chunk if _unknown(view, videos) is None]
            store.prefetch(known)
            for view in chunk:
                error = _unknown(view, videos) or _render(view, store, rendering)
                if error is not None:
                    failed[view.view_id] = error
                on_done(1)
    return failed


def _render(view: VideoView, store: FrameStore, rendering: Rendering) -> VideoError | None:
    try:
        frames: np.ndarray = store.frames(view)
        if rendering.as_images:
            write_images(rendering.path(view), frames)
        else:
            write_video(rendering.path(view), frames, view.fps)
    except VideoError as error:
        return error
    return None


def _unknown(view: VideoView, videos: Mapping[str, str]) -> VideoError | None:
    unknown = sorted({slot.video_id for slot in view.slots} - videos.keys())
    return VideoError(unknown[0], "unknown_video", "a view shows it, and no pair has a path for it") if unknown else None


def _by_video(views: Sequence[VideoView], videos: int) -> Iterator[list[VideoView]]:
    """Views in chunks of whole videos (by their first slot), so that each is decoded once and few are held."""

    def first(view: VideoView) -> str:
        return view.slots[0].video_id

    chunk: list[VideoView] = []
    count = 0
    for _, of_video in groupby(sorted(views, key=lambda view: (first(view), view.view_id)), key=first):
        chunk += of_video
        count += 1
        if count == videos:
            yield chunk
            chunk, count = [], 0
    if chunk:
        yield chunk


def _remove(leftover: Path) -> None:
    """A file, or a folder of images, of a process that was killed while it wrote."""
    if leftover.is_dir():
        for file in leftover.iterdir():
            file.unlink()
        leftover.rmdir()
    else:
        leftover.unlink()
