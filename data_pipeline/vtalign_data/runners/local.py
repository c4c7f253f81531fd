"""The runner of one machine: in order in this process, or models in processes of their own, one per GPU."""

import logging
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

from vtalign_data.runners.task import Process, Task
from vtalign_data.runners.tools import WorkTools
from vtalign_data.runners.worker import MAX_TRIES, Worker, WorkerSetup, died_too_often
from vtalign_data.stage import BatchResult

logger = logging.getLogger(__name__)

T = TypeVar("T")
Batch = tuple[int, Sequence[T]]


class LocalRunner:
    """`devices`: one model worker on each; a single one is this process itself. `setup` is asked when workers are needed."""

    def __init__(self, tools: WorkTools, setup: Callable[[], WorkerSetup], devices: Sequence[str]) -> None:
        self._tools, self._setup, self._devices = tools, setup, tuple(devices)

    def run(self, process: Process[T], batches: Iterable[Batch[T]]) -> Iterator[tuple[int, BatchResult]]:
        """See `Runner`. Decoding needs no workers here: it has processes of its own (`DecodeWorkers`)."""
        if len(self._devices) > 1 and isinstance(process, Task) and process.place == "model":
            return run_in_processes(process, batches, self._setup(), self._devices)
        return run_here(process, batches, self._tools)


def run_here(process: Process[T], batches: Iterable[Batch[T]], tools: WorkTools) -> Iterator[tuple[int, BatchResult]]:
    """One batch after the other, in this process."""
    for number, batch in batches:
        yield number, process.run(tools, batch) if isinstance(process, Task) else process(batch)


def run_in_processes(
    task: Task[T], batches: Iterable[Batch[T]], setup: WorkerSetup, devices: Sequence[str]
) -> Iterator[tuple[int, BatchResult]]:
    """A process per device. One that dies is replaced, and what was under way is done again.

    Raises what the task raises, RunFailed where processes die at one batch `MAX_TRIES` times.
    """
    source, again = iter(batches), deque[Batch[T]]()
    tries: Counter[int] = Counter()
    while True:
        lost: list[Batch[T]] = []
        under_way: dict[Future[BatchResult], Batch[T]] = {}
        with _pool(task, setup, devices) as pool:
            while not lost:
                while len(under_way) < 2 * len(devices) and (batch := again.popleft() if again else next(source, None)):
                    try:
                        under_way[pool.submit(_work, batch[1])] = batch
                    except BrokenProcessPool:
                        lost.append(batch)
                        break
                if not under_way and not lost:
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    batch = under_way.pop(future)
                    try:
                        yield batch[0], future.result()
                    except BrokenProcessPool:
                        lost.append(batch)
        again.extend(sorted((*lost, *under_way.values()), key=lambda batch: batch[0]))
        tries.update(number for number, _ in again)
        logger.warning("a worker died; %d batches are done again", len(again))
        ((number, most),) = tries.most_common(1)
        if most == MAX_TRIES:
            raise died_too_often(number)


@contextmanager
def _pool(task: Task[T], setup: WorkerSetup, devices: Sequence[str]) -> Iterator[ProcessPoolExecutor]:
    """One process per device. All end when the block is left or this process dies, whatever they are doing."""
    context = multiprocessing.get_context("spawn")  # a fork of a process that has used CUDA or threads is not sound
    free = context.SimpleQueue()
    for device in devices:
        free.put(device)
    theirs, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(len(devices), mp_context=context, initializer=_start, initargs=(task, setup, free, theirs))
    try:
        yield pool
    finally:
        ours.close()
        theirs.close()
        pool.shutdown(cancel_futures=True)


_worker: Worker[Any] | None = None  # of this process, where it is one of a pool


def _start(task: Task[Any], setup: WorkerSetup, free: "SimpleQueue[str]", parent: Connection) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the process that runs the build ends this one
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker = Worker(setup, task, "a worker", free.get())


def _end_with(parent: Connection) -> None:
    parent.poll(None)  # nothing is ever sent: it returns when the other end is closed
    os._exit(1)


def _work(batch: Sequence[Any]) -> BatchResult:
    assert _worker is not None
    return _worker(batch)
