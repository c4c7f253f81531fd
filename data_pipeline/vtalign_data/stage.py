"""The resumable stage: a folder of committed parts, one per batch of the sorted input, complete only with its marker.

    stages/<nn>-<name>/
        input.json                  digest of the sorted input ids, written first: a resumed stage has the same input
        part-00000.parquet          rows of batch 0; its presence says that batch 0 is done; its metadata, what that cost
        part-00000.rejected.jsonl   what batch 0 lost, written before its part; gone once the stage is complete
        rejected.jsonl              all that the stage lost: id, outcome (filtered | failed), reason, detail
        complete.json               counts; the marker, written last

Batches are cut from the sorted input, not from arrival, so any number of workers, kills and restarts gives the same files.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from vtalign.artifacts import read_jsonl, write_atomic, write_atomic_lines, write_json, write_parquet
from vtalign.errors import InputError
from vtalign_data.scratch import insert_all, scratch_database
from vtalign_data.usage import Usage, total

if TYPE_CHECKING:
    from vtalign_data.runners.task import Process, Runner

T = TypeVar("T")
Row = dict[str, Any]
Outcome = Literal["filtered", "failed"]

_USAGE_KEY = b"vtalign.usage"


@dataclass(frozen=True)
class Rejected:
    """One thing that a stage did not pass on. `reason` is a short stable word to count by, `detail` is for people."""

    id: str
    outcome: Outcome
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class BatchResult:
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class StageCounts:
    """What a complete stage passed on and lost, by reason, and what it cost. `unit` says what is counted."""

    name: str
    unit: str
    kept: int
    filtered: dict[str, int]
    failed: dict[str, int]
    usage: Usage = field(default_factory=Usage)

    @property
    def lost(self) -> int:
        return sum(self.filtered.values()) + sum(self.failed.values())


@dataclass(frozen=True)
class Stage:
    """A stage of a run: where it lies, what a row of it is, and what it counts."""

    folder: Path
    schema: pa.Schema
    unit: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def is_complete(self) -> bool:
        return (self.folder / "complete.json").is_file()

    def run(
        self,
        items: Sequence[T],
        key: Callable[[T], str],
        process: "Process[T]",
        *,
        batch_size: int | None,
        on_batch: Callable[[int, list[Rejected]], None] | None = None,
        runner: "Runner | None" = None,
    ) -> StageCounts:
        """Process `items` (sorted by the caller; `key` gives their distinct ids) batch by batch, commit each, skip what is there.

        `batch_size` None: one batch of all. `on_batch` hears of every batch, made now or found: how many items, what was lost.
        `runner` does the work and may end batches in any order; without one `process` is a callable that is called here.
        Raises InputError where the folder was begun with another input.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()
        size = batch_size or max(1, len(items))
        self._claim({"input": self._input_id(map(key, items)), "items": len(items), "batch_size": size})
        starts = range(0, len(items), size)
        found = [number for number in range(len(starts)) if self._part(number).is_file()]
        pending = sorted(set(range(len(starts))) - set(found))
        batches = ((number, items[starts[number] : starts[number] + size]) for number in pending)

        def tell(number: int) -> None:
            if on_batch and not self.is_complete:
                on_batch(min(size, len(items) - starts[number]), [Rejected(**row) for row in read_jsonl(self._losses(number))])

        for number in found:
            tell(number)
        for number, result in runner.run(process, batches) if runner else _call(process, batches):
            losses = "".join(json.dumps(asdict(lost), ensure_ascii=False) + "\n" for lost in result.rejected)
            write_atomic(self._losses(number), losses)  # first: a part that is there says that its losses are there too
            write_parquet(self._part(number), result.rows, self._schema_with(result.usage))
            tell(number)
        if not self.is_complete:
            self._complete(len(starts))
        for number in range(len(starts)):
            self._losses(number).unlink(missing_ok=True)
        return self.counts()

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """Rows in the order of the parts."""
        for part in self.parts():
            yield from pq.read_table(part, columns=list(columns) if columns else None).to_pylist()

    def parts(self) -> list[Path]:
        """In order. By number: the name of part 100000 comes before that of part 99999."""
        return sorted(self.folder.glob("part-*.parquet"), key=lambda part: int(part.stem.removeprefix("part-")))

    def rejected(self) -> list[Rejected]:
        return [Rejected(**row) for row in read_jsonl(self.folder / "rejected.jsonl")]

    def counts(self) -> StageCounts:
        """Counts of a complete stage, from its marker."""
        record = json.loads((self.folder / "complete.json").read_text(encoding="utf-8"))
        return StageCounts(
            self.name, self.unit, record["kept"], record["filtered"], record["failed"], Usage(**record.get("usage", {}))
        )

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.parquet"

    def _losses(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.rejected.jsonl"

    def _claim(self, wanted: dict[str, Any]) -> None:
        record = self.folder / "input.json"
        if not record.is_file():
            write_json(record, wanted)
            return
        found = json.loads(record.read_text(encoding="utf-8"))
        if found != wanted:
            raise InputError(
                f"{self.folder}: was begun with another input ({found['items']} {self.unit}s then, {wanted['items']} now); "
                "the videos changed since: choose another output folder"
            )

    def _input_id(self, keys: Iterator[str]) -> str:
        """`stable_id("input", [key, ..])` of keys that need not fit into memory. Raises ValueError where one comes twice."""
        digest = hashlib.sha256(b'["input",[')
        with closing(scratch_database(self.folder)) as database:
            database.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")

            def seen() -> Iterator[tuple[bytes]]:
                for number, key in enumerate(keys):
                    text = json.dumps(key).encode()
                    digest.update(b"," + text if number else text)
                    yield (text,)

            try:
                insert_all(database, "INSERT INTO seen VALUES (?)", seen())
            except sqlite3.IntegrityError:
                raise ValueError(f"{self.name}: input ids are not distinct") from None
        digest.update(b"]]")
        return f"input-{digest.hexdigest()[:16]}"

    def _complete(self, batches: int) -> None:
        """Sort the losses of all batches into one file, on disk: a million of them may be lost."""
        by_outcome: dict[str, dict[str, int]] = {}
        with closing(scratch_database(self.folder)) as database:
            database.execute("CREATE TABLE losses (id TEXT, reason TEXT, outcome TEXT, line TEXT)")
            losses = (row for number in range(batches) for row in read_jsonl(self._losses(number)))
            texts = ((row["id"], row["reason"], row["outcome"], json.dumps(row, ensure_ascii=False) + "\n") for row in losses)
            insert_all(database, "INSERT INTO losses VALUES (?, ?, ?, ?)", texts)
            lines = database.execute("SELECT line FROM losses ORDER BY id, reason, rowid")
            write_atomic_lines(self.folder / "rejected.jsonl", (line for (line,) in lines))
            counted = "SELECT reason, count(*) FROM losses WHERE outcome = ? GROUP BY reason ORDER BY reason"
            for outcome in ("filtered", "failed"):
                by_outcome[outcome] = dict(database.execute(counted, (outcome,)))
        parts = [pq.read_metadata(self._part(number)) for number in range(batches)]
        usage = total(Usage(**json.loads((part.metadata or {}).get(_USAGE_KEY, b"{}"))) for part in parts)
        counts = {"kept": sum(part.num_rows for part in parts), **by_outcome, "usage": usage.to_dict()}
        write_json(self.folder / "complete.json", {"batches": batches, **counts})

    def _schema_with(self, usage: Usage) -> pa.Schema:
        """What a batch cost is committed with its rows, so that a run that was stopped counts every batch once."""
        return self.schema.with_metadata({**(self.schema.metadata or {}), _USAGE_KEY: json.dumps(usage.to_dict()).encode()})

    def _remove_leftovers(self) -> None:
        """Temporary files of a process that was killed while it wrote."""
        for leftover in self.folder.glob(".*.partial"):
            leftover.unlink()


def _call(process: "Process[T]", batches: Iterable[tuple[int, Sequence[T]]]) -> Iterator[tuple[int, BatchResult]]:
    if not callable(process):
        raise TypeError("a task needs a runner")
    for number, batch in batches:
        yield number, process(batch)


class RunStage(Protocol):
    """How a build runs one stage to its end. `units`: what goes in and what comes out; a `required` stage that leaves nothing ends the
    run."""

    def __call__(
        self,
        name: str,
        units: tuple[str, str],
        schema: pa.Schema,
        items: Sequence[T],
        key: Callable[[T], str],
        process: "Process[T]",
        batch_size: int | None,
        required: bool = True,
    ) -> Stage: ...
