"""What a build tells while it runs: one bar per stage, one line per video that was lost."""

from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from vtalign_data.stage import Rejected

_LINES = 5  # failures of one reason and stage that are printed one by one; the rest is in rejected.jsonl


class BuildProgress(Protocol):
    """Receives what happens; `start` begins a stage, `advance` counts its items and hears what was lost."""

    def start(self, stage: str, total: int, unit: str) -> None: ...

    def advance(self, items: int, lost: list[Rejected]) -> None: ...

    def say(self, line: str) -> None: ...


class SilentProgress:
    """For callers that show their own progress, and for tests."""

    def start(self, stage: str, total: int, unit: str) -> None:
        pass

    def advance(self, items: int, lost: list[Rejected]) -> None:
        pass

    def say(self, line: str) -> None:
        pass


class ConsoleProgress:
    """Bars on a terminal (nothing moves in a log file), failures as lines. A context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._stage = ""
        self._told: dict[tuple[str, str], int] = {}

    def __enter__(self) -> "ConsoleProgress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:  # bars that never began would leave an empty line before the error
            self._bars.stop()

    def start(self, stage: str, total: int, unit: str) -> None:
        self._bars.start()
        self._stage = stage
        self._task = self._bars.add_task(stage, total=total, unit=f"{unit}s")

    def advance(self, items: int, lost: list[Rejected]) -> None:
        if self._task is not None:
            self._bars.advance(self._task, items)
        for loss in lost:
            if loss.outcome == "failed":
                self._tell(loss)

    def say(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _tell(self, loss: Rejected) -> None:
        told = self._told[self._stage, loss.reason] = self._told.get((self._stage, loss.reason), 0) + 1
        if told <= _LINES:
            detail = " ".join(loss.detail.split())
            self.say(f"{self._stage}: {loss.id}: {loss.reason}: {detail}")
        elif told == _LINES + 1:
            self.say(f"{self._stage}: more with {loss.reason}; all are in stages/{self._stage}/rejected.jsonl")
