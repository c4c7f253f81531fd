"""What is scored: stored replies with the questions they answer. Those of TempCompass are in `vtalign_eval.tempcompass.score_stored`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from vtalign.errors import InputError
from vtalign.ids import file_hash
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.items import Item
from vtalign_eval.judging import Judged
from vtalign_eval.stored_replies import read_stored_replies
from vtalign_eval.tables import print_results

_NOTES = {
    "missing": "questions have no reply and count as wrong",
    "null": "replies are null and count as wrong",
    "unknown": "replies are about no question of the benchmark and count as nothing",
}


class Stored(Protocol):
    """`questions`: how many the data folder holds. `items` are scored, `replies` (None: none) in their order; `hashes` of the files."""

    @property
    def questions(self) -> int: ...

    @property
    def items(self) -> Sequence[Item]: ...

    @property
    def replies(self) -> Sequence[str | None]: ...

    @property
    def hashes(self) -> dict[str, str]: ...

    def export(self, out: Path, judged: Judged | None) -> dict[str, Any]:
        """Write the benchmark's own files into `out`. Returns what the record of the results says of these replies."""
        ...

    def print(self, console: Console, results: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class StoredRows:
    """Rows of one file about any benchmark. `counts`: replies that are missing, null or about no question."""

    benchmark: Benchmark
    questions: int
    items: tuple[Item, ...]
    replies: tuple[str | None, ...]
    hashes: dict[str, str]
    counts: dict[str, int]

    def export(self, out: Path, judged: Judged | None) -> dict[str, Any]:
        self.benchmark.export(out, self.items, self.replies, judged)
        return {"predictions": self.counts}

    def print(self, console: Console, results: dict[str, Any]) -> None:
        print_results(console, results)
        for name, note in _NOTES.items():
            if self.counts[name]:
                console.print(f"{self.counts[name]} {note}", highlight=False)


def stored_rows(benchmark: Benchmark, data: Path, predictions: Path, *, with_judge: bool) -> StoredRows:
    """The replies in the file `predictions`; to questions that only a judge can grade `with_judge` alone. Raises InputError."""
    if not predictions.is_file():
        raise InputError(f"{predictions}: no such file; {benchmark.name} is scored from one JSONL file of replies")
    items = benchmark.items(data)
    asked = tuple(item for item in items if with_judge or item.task not in benchmark.judged_tasks)
    read = read_stored_replies(predictions, asked)
    replies = tuple(read.replies.get(item.question_id) for item in asked)
    return StoredRows(benchmark, len(items), asked, replies, {predictions.name: file_hash(predictions)}, read.counts)
