"""`FrameStore`: the pixels of views. Every video is decoded forward once for all views that are prefetched together."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from vtalign.errors import InputError, VideoError
from vtalign.video.frame_cache import FrameCache
from vtalign.video.isolated import DecodeWorkers, FrameSet, ReadRequest
from vtalign.video.paths import confined
from vtalign.video.pixels import resized
from vtalign.video.readers import check_reader
from vtalign.video.sample import FramePolicy
from vtalign.video.transforms import apply_transform
from vtalign.video.view import VideoView


class Beside(NamedTuple):
    """What one pass gave: `frames` uint8 (N, H, W, 3), the set that was asked for, and frames of views, for `FrameStore.keep`."""

    frames: np.ndarray
    of_views: dict[int, np.ndarray]


class FrameStore:
    """Frames of a corpus: decoded in processes of their own, kept in memory up to `memory_mb` and, where asked, on disk.

    `videos` maps video_id to a path relative to `root`, which it may not leave. `shown` (video_id to ordinals) are frames that views
    will show sooner or later: a pass over a video takes them all along. Not for use by several threads at once.
    Without `workers` it starts one decoder process of its own, which `close` (or leaving the `with` block) ends.
    """

    def __init__(
        self,
        root: Path,
        videos: Mapping[str, str],
        policy: FramePolicy,
        *,
        reader: str = "pyav",
        workers: DecodeWorkers | None = None,
        cache: Path | None = None,
        memory_mb: int = 1024,
        shown: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        check_reader(reader)
        self.root, self.policy, self.reader = Path(root), policy, reader
        self._videos, self._shown = dict(videos), shown or {}
        self.workers, self._owns_workers = workers or DecodeWorkers(1), workers is None
        self._disk = FrameCache.for_policy(Path(cache), reader, policy) if cache else None
        self._room = memory_mb * 1024**2
        self._used = 0
        self._memory: OrderedDict[str, dict[int, np.ndarray]] = OrderedDict()  # the longest unused video first
        self._failed: dict[str, VideoError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the decoder process if it is this store's own."""
        if self._owns_workers:
            self.workers.close()

    @property
    def held_bytes(self) -> int:
        """Bytes of frames in memory."""
        return self._used

    def frames(self, view: VideoView) -> np.ndarray:
        """uint8 (T, H, W, 3): the view's slots in order, blank ones black, transforms applied.

        Slots of another video get the size of the one that most slots show (of several: the first). Raises VideoError (again at
        every call: a file is not tried twice), InputError for a video that the corpus does not list.
        """
        if not view.slots:
            raise ValueError("a view without slots has no frames")
        held = {video_id: self._video(video_id, needed) for video_id, needed in _needed([view]).items()}
        ((most_shown, _),) = Counter(slot.video_id for slot in view.slots).most_common(1)
        height, width = next(iter(held[most_shown].values())).shape[:2]
        shown = np.zeros((len(view), height, width, 3), np.uint8)
        for row, slot in zip(shown, view.slots, strict=True):
            if slot.frame is not None:
                row[:] = resized(held[slot.video_id][slot.frame], width, height)
            if slot.transform is not None:
                row[:] = apply_transform(row, slot.transform)
        return shown

    def prefetch(self, views: Iterable[VideoView]) -> dict[str, VideoError]:
        """Decode what `views` need and is not there yet, all workers at once, one pass per video; the videos that failed.

        Frames beyond the memory bound are kept on disk only; without a disk cache, prefetch no more than memory holds.
        """
        needed = _needed(views)
        missing = {video_id: wanted for video_id, wanted in self._missing(needed)}
        requests: dict[str, ReadRequest] = {}
        for video_id, wanted in missing.items():
            try:
                requests[video_id] = self._request(video_id, wanted)
            except VideoError as error:
                self._fail(video_id, error)
        for video_id, result in zip(requests, self.workers.map_read(requests.values()), strict=True):
            if isinstance(result, VideoError):
                self._fail(video_id, result)
            else:
                self._keep_decoded(video_id, missing[video_id], result)
        return {video_id: self._failed[video_id] for video_id in needed if video_id in self._failed}

    def read_beside(self, sets: Iterable[tuple[str, FrameSet]]) -> Iterator[Beside | VideoError]:
        """A set of frames of each (video_id, set), in order, for a use of their own; errors are returned.

        With a disk cache the same pass takes along what `shown` has of the video and the cache has not. That is kept only where the
        caller gives it to `keep`: views of the video may turn out not to be wanted.
        """
        requests: list[tuple[Path, list[FrameSet], str]] = []
        along: list[list[int]] = []
        unreadable: dict[int, VideoError] = {}
        for number, (video_id, asked) in enumerate(sets):
            try:
                path = self._path(video_id)
            except VideoError as error:
                unreadable[number] = error.with_traceback(None)  # which would hold on to this generator and its frames
                continue
            along.append(sorted(self._not_held(video_id, set())) if self._disk else [])
            requests.append((path, [asked, *([FrameSet(along[-1], self.policy)] if along[-1] else [])], self.reader))
        results = zip(along, self.workers.map_read_sets(requests), strict=True)
        for number in range(len(requests) + len(unreadable)):
            if number in unreadable:
                yield unreadable[number]
                continue
            indices, found = next(results)
            if isinstance(found, VideoError):
                yield found
            else:
                yield Beside(found[0], dict(zip(indices, found[1], strict=True)) if indices else {})

    def keep(self, video_id: str, frames: dict[int, np.ndarray]) -> None:
        """Put frames of `read_beside` into the disk cache."""
        if self._disk and frames:
            self._disk.add(video_id, frames)

    def _missing(self, needed: dict[str, set[int]]) -> Iterator[tuple[str, list[int]]]:
        for video_id, wanted in needed.items():
            if video_id not in self._failed and (missing := self._not_held(video_id, wanted)) & wanted:
                yield video_id, sorted(missing)

    def _not_held(self, video_id: str, wanted: set[int]) -> set[int]:
        """Of the wanted frames, and those that will be, the ones that are neither in memory nor on disk."""
        missing = wanted.union(self._shown.get(video_id, ())) - self._memory.get(video_id, {}).keys()
        return missing - self._disk.held(video_id) if self._disk and missing else missing

    def _video(self, video_id: str, needed: set[int]) -> dict[int, np.ndarray]:
        """The needed frames of one video, from memory, disk or a decoder. Where not all are in memory, the others that views will
        show come along."""
        if video_id in self._failed:
            raise self._failed[video_id]
        found = self._from_memory(video_id, needed)
        if len(found) == len(needed):
            return found
        missing = needed.union(self._shown.get(video_id, ())) - self._memory.get(video_id, {}).keys()
        if self._disk:
            read = self._disk.get(video_id, missing)
            self._keep(video_id, read)
            found.update(read)
        if needed - found.keys():
            rest = sorted(missing - found.keys())
            try:
                decoded = self.workers.read(*self._request(video_id, rest))
            except VideoError as error:
                raise self._fail(video_id, error) from None
            found.update(self._keep_decoded(video_id, rest, decoded))
        return found

    def _request(self, video_id: str, indices: list[int]) -> ReadRequest:
        return ReadRequest(self._path(video_id), indices, self.policy, self.reader)

    def _path(self, video_id: str) -> Path:
        if video_id not in self._videos:
            raise InputError(f"video '{video_id}': a view shows it, but the corpus under {self.root} does not list it")
        return confined(self.root, self._videos[video_id])

    def _fail(self, video_id: str, error: VideoError) -> VideoError:
        self._failed[video_id] = VideoError(self._videos[video_id], error.reason, error.detail)
        return self._failed[video_id]

    def _from_memory(self, video_id: str, needed: set[int]) -> dict[int, np.ndarray]:
        held = self._memory.get(video_id)
        if held is None:
            return {}
        self._memory.move_to_end(video_id)
        return {index: held[index] for index in needed if index in held}

    def _keep_decoded(self, video_id: str, indices: list[int], decoded: np.ndarray) -> dict[int, np.ndarray]:
        frames = dict(zip(indices, decoded, strict=True))
        if self._disk:
            self._disk.add(video_id, frames)
        self._keep(video_id, frames)
        return frames

    def _keep(self, video_id: str, frames: dict[int, np.ndarray]) -> None:
        """Put new frames of a video into memory, and the longest unused videos out of it."""
        self._memory.setdefault(video_id, {}).update(frames)
        self._memory.move_to_end(video_id)
        self._used += sum(frame.nbytes for frame in frames.values())
        while self._used > self._room:
            _, dropped = self._memory.popitem(last=False)
            self._used -= sum(frame.nbytes for frame in dropped.values())


def _needed(views: Iterable[VideoView]) -> dict[str, set[int]]:
    """Frames to decode per video. Where a view shows only blanks of a video, its first frame, which tells the size."""
    needed: dict[str, set[int]] = {}
    for view in views:
        of_view: dict[str, set[int]] = {}
        for slot in view.slots:
            of_view.setdefault(slot.video_id, set()).update(() if slot.frame is None else (slot.frame,))
        for video_id, wanted in of_view.items():
            needed.setdefault(video_id, set()).update(wanted or {0})
    return needed
