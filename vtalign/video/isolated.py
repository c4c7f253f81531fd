"""Decoding in processes of its own: a file that hangs, crashes or floods the decoder costs one VideoError."""

import os
import threading
import time
import weakref
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from vtalign.errors import VideoError
from vtalign.video.compare import ReaderDifference
from vtalign.video.limits import DecodeLimits
from vtalign.video.pixels import Sketch
from vtalign.video.probe import VideoInfo
from vtalign.video.readers import check_indices, check_reader
from vtalign.video.sample import FramePolicy
from vtalign.video.worker_process import NotWaitedFor, WorkerKilled, WorkerProcess

__all__ = ["DecodeLimits", "DecodeWorkers", "FrameSet", "Plan", "Probed", "ReadRequest"]

Size = tuple[int, int] | FramePolicy | Sketch | None
"""(width, height) in pixels, the policy that decides it, a sketch, or None for the video's own size."""

T = TypeVar("T")
J = TypeVar("J")


class FrameSet(NamedTuple):
    """Frames `indices` (decoded ordinals, strictly rising), all of one size."""

    indices: Sequence[int]
    size: Size = None


Plan = Callable[[VideoInfo], Sequence[FrameSet]]
"""Which frames of a video are wanted; none where it is to be probed only."""


class Probed(NamedTuple):
    """What a pass found: `info`, and the `frames`, uint8 (N, H, W, 3), of each of the `sets` that it took along."""

    info: VideoInfo
    sets: list[FrameSet]
    frames: list[np.ndarray]


class ReadRequest(NamedTuple):
    """Frames `indices` (decoded ordinals, strictly rising) of one file."""

    path: str | Path
    indices: Sequence[int]
    size: Size = None
    reader: str = "pyav"


class DecodeWorkers:
    """`n` decoder processes, started when first needed and replaced when they die. A context manager; threads may share it.

    A process that forks (a DataLoader worker) gets processes of its own at first use. A job whose process somebody kills (SIGKILL) is
    done again by another one, once; one that crashes or hangs its process is not.
    """

    def __init__(self, n: int, limits: DecodeLimits | None = None) -> None:
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        self.n, self.limits = n, limits or DecodeLimits()
        # Passes over files, by kind (`probe`, `probe_reading`, `read`, `compare`; a `survey` decodes one frame): how many were asked
        # for, the seconds from asking to the answer, and the frames that were handed over.
        self.passes: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.frames = 0
        self._thread = threading.local()
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes; a later call starts new ones."""
        self._finalizer()
        self._open()

    @property
    def pids(self) -> list[int]:
        """Process ids of the decoder processes that are alive."""
        return [worker.pid for worker in self._workers if worker.alive]

    def probe(self, path: str | Path) -> VideoInfo:
        """`probe.probe` in a decoder process. Raises VideoError."""
        header, _ = self._ask(path, {"do": "probe"})
        return VideoInfo.from_dict(header["info"])

    def probe_reading(self, path: str | Path, plan: Plan) -> Probed:
        """`probe`, and in the same pass the frames that `plan` wants of the video, if it is as `survey` takes it to be.

        No frames of a long video, or where that pass fails in any way: then what `probe` says holds. Raises VideoError.
        """
        try:
            header, _ = self._ask(path, {"do": "survey"})
            sets = list(plan(VideoInfo.from_dict(header["info"]))) if header["info"] else []
            if sets:
                header, arrays = self._ask(path, {"do": "probe_reading", "sets": _wanted(sets)})
                with self._lock:
                    self.frames += sum(map(len, arrays))
                return Probed(VideoInfo.from_dict(header["info"]), sets if arrays else [], arrays)
        except NotWaitedFor:
            raise
        except VideoError:
            pass
        return Probed(self.probe(path), [], [])

    def read(self, path: str | Path, indices: Sequence[int], size: Size = None, reader: str = "pyav") -> np.ndarray:
        """uint8 (N, H, W, 3), read-only. Raises VideoError, InputError for a reader that is not installed."""
        [frames] = self.read_sets(path, [FrameSet(indices, size)], reader)
        return frames

    def read_sets(self, path: str | Path, sets: Sequence[FrameSet], reader: str = "pyav") -> list[np.ndarray]:
        """Like `read`, several sets of frames in one pass over the file."""
        check_reader(reader)
        _, arrays = self._ask(path, {"do": "read", "sets": _wanted(sets), "reader": reader})
        if len(arrays) != len(sets):
            raise VideoError(str(path), "crashed", "the decoder process sent no frames")
        with self._lock:
            self.frames += sum(map(len, arrays))
        return arrays

    def compare(self, path: str | Path, reader: str, frames: int, *, sample: int = 16) -> list[ReaderDifference]:
        """`compare.compare_readers` in a decoder process: where `reader` differs from PyAV. Raises VideoError."""
        header, _ = self._ask(path, {"do": "compare", "reader": reader, "frames": frames, "sample": sample})
        return [ReaderDifference(**difference) for difference in header["differences"]]

    def map_probe(self, paths: Iterable[str | Path]) -> Iterator[VideoInfo | VideoError]:
        """One result per path, in order; errors are returned."""
        return self._map(self.probe, paths)

    def map_probe_reading(self, paths: Iterable[str | Path], plan: Plan) -> Iterator[Probed | VideoError]:
        """One result per path, in order; errors are returned. Threads call `plan`. A few results at most wait to be taken."""
        return self._map(lambda path: self.probe_reading(path, plan), paths)

    def map_read(self, requests: Iterable[ReadRequest]) -> Iterator[np.ndarray | VideoError]:
        """One result per request, in order; errors are returned. A few results at most wait to be taken."""
        return self._map(lambda request: self.read(*request), requests)

    def map_read_sets(
        self, requests: Iterable[tuple[str | Path, Sequence[FrameSet], str]]
    ) -> Iterator[list[np.ndarray] | VideoError]:
        """One result per (path, sets, reader), in order; errors are returned. A few results at most wait to be taken."""
        return self._map(lambda request: self.read_sets(*request), requests)

    def map_compare(self, checks: Iterable[tuple[str | Path, str, int]]) -> Iterator[list[ReaderDifference] | VideoError]:
        """One result per (path, reader, frames), in order; errors are returned."""
        return self._map(lambda check: self.compare(*check), checks)

    def _open(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.RLock()  # the garbage collector may come while it is held, and leave a map
        self._free = threading.Semaphore(self.n)
        self._idle: list[WorkerProcess] = []
        self._busy: dict[WorkerProcess, threading.Event | None] = {}  # and what the map that waits for each will be left by
        self._workers: list[WorkerProcess] = []
        self._finalizer = weakref.finalize(self, _stop, self._workers, self._owner)

    def _ask(self, path: str | Path, job: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
        if os.getpid() != self._owner:
            for worker in self._workers:
                worker.abandon()
            self._open()
        with self._free:
            try:
                return self._ask_one(path, job)
            except WorkerKilled:
                pass  # nothing that the file did: another process is asked, once
            try:
                return self._ask_one(path, job)
            except WorkerKilled as killed:
                raise killed.error from None

    def _ask_one(self, path: str | Path, job: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
        worker = self._take(str(path))
        begun = time.monotonic()
        kind: str | None = str(job["do"])
        try:
            return worker.ask(str(path), job)
        except WorkerKilled:
            kind = None  # it will be asked of another one, and counted then
            raise
        finally:
            self._give_back(worker, kind, time.monotonic() - begun)

    def _take(self, path: str) -> WorkerProcess:
        with self._lock:
            left: threading.Event | None = getattr(self._thread, "left", None)
            if left is not None and left.is_set():
                raise NotWaitedFor(path, "crashed", "nobody waits for the answer")
            worker = self._idle_worker()
            if worker is None:
                worker = WorkerProcess(self.limits)
                self._workers.append(worker)
            self._busy[worker] = left
            return worker

    def _idle_worker(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            self._drop(worker)  # died while idle: no video's fault
        return None

    def _give_back(self, worker: WorkerProcess, kind: str | None, seconds: float) -> None:
        """`kind`: of the job that it did; None where it was killed over it."""
        with self._lock:
            if kind is not None:
                self.passes[kind] += 1
                self.seconds[kind] += seconds
            known = worker in self._busy  # not where the pool was closed meanwhile
            self._busy.pop(worker, None)
            if known and worker.alive:
                self._idle.append(worker)
            else:
                self._drop(worker)

    def _drop(self, worker: WorkerProcess) -> None:
        worker.stop()
        if worker in self._workers:
            self._workers.remove(worker)

    def _leave(self, left: threading.Event) -> None:
        """End what the map of `left` waits for, and nothing that others asked for: the garbage collector may leave a map at any time."""
        with self._lock:
            left.set()
            for worker, of in self._busy.items():
                if of is left:
                    worker.kill()

    def _map(self, call: Callable[[J], T], jobs: Iterable[J]) -> Iterator[T | VideoError]:
        def guarded(job: J) -> T | VideoError:
            try:
                return call(job)
            except VideoError as error:
                return error.with_traceback(None)  # which would hold on to frames

        left = threading.Event()

        def belong() -> None:
            self._thread.left = left

        waiting: deque[Future[T | VideoError]] = deque()
        threads = ThreadPoolExecutor(self.n, "decode", initializer=belong)
        try:
            for job in jobs:
                waiting.append(threads.submit(guarded, job))
                if len(waiting) > 2 * self.n:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException as stopped:
            self._leave(left)  # or leaving would wait for the slowest of them
            # whom the garbage collector interrupted may hold what they need to end
            threads.shutdown(wait=not isinstance(stopped, GeneratorExit), cancel_futures=True)
            raise
        threads.shutdown()


def _wanted(sets: Iterable[FrameSet]) -> list[tuple[list[int], Any]]:
    """`sets` as a job says them. Raises ValueError for indices that do not rise."""
    wanted = []
    for indices, size in sets:
        check_indices(indices)
        wanted.append(([int(index) for index in indices], _plain(size)))
    return wanted


def _plain(size: Size) -> dict[str, Any] | tuple[int, int] | None:
    """`size` as a job says it."""
    if isinstance(size, Sketch):
        return {"sketch": (size.width, size.height)}
    if not isinstance(size, FramePolicy):
        return size
    if size.size is not None:
        return size.size[1], size.size[0]
    return {"max_pixels": size.max_pixels, "multiple": size.multiple}


def _stop(workers: list[WorkerProcess], owner: int) -> None:
    if os.getpid() == owner:
        for worker in workers:
            worker.stop()
