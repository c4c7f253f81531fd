"""One worker: a process that does one task for one batch after the other, with tools of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from vtalign.errors import InputError, RunFailed
from vtalign_data.config import BuildConfig
from vtalign_data.run_model import ModelFacts, RunModel
from vtalign_data.runners.task import Task
from vtalign_data.runners.tools import WorkTools
from vtalign_data.stage import BatchResult
from vtalign_data.versions import run_versions

T = TypeVar("T")

MAX_TRIES = 3
"""Of one batch that is there when its worker dies; after that the run fails, for it would never end."""


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker must know and be like, so that its rows are those of the process that runs the build.

    `threads`: of torch; another number rounds sums on a CPU differently. `versions`: of Python and the libraries.
    """

    config: BuildConfig
    facts: ModelFacts
    threads: int
    versions: dict[str, str]

    def check(self, where: str) -> None:
        """Raises InputError where this process has other versions."""
        for name, wanted in self.versions.items():
            found = run_versions(self.config.clips.method)[name]
            if found != wanted:
                raise InputError(f"{where} has {name} {found}, the machine that runs the build {wanted}: install the same there")


class Worker(Generic[T]):
    """Its first batch loads what the task needs. Raises as the task does, InputError where versions or weights differ."""

    def __init__(self, setup: WorkerSetup, task: Task[T], where: str, device: str | None = None) -> None:
        self._setup, self._task, self._where, self._device = setup, task, where, device
        self._tools: WorkTools | None = None

    def __call__(self, batch: Sequence[T]) -> BatchResult:
        return self._task.run(self._ready(), batch)

    def _ready(self) -> WorkTools:
        if self._tools is None:
            self._setup.check(self._where)
            torch.set_num_threads(self._setup.threads)
            changes: dict[str, Any] = {} if self._device is None else {"device": self._device}
            config = self._setup.config.model_copy(update=changes)
            self._tools = WorkTools(config, RunModel(config, self._setup.facts))
        return self._tools


def died_too_often(number: int) -> RunFailed:
    return RunFailed(
        f"batch {number}: its worker died {MAX_TRIES} times (out of memory?); "
        "lower model_batch_size or workers and run the same command again"
    )
