"""The resumable stage: a folder of committed parts, one per batch of the sorted input, complete only with its marker.

    stages/<nn>-<name>/
        input.json                  digest of the sorted input ids, written first: a resumed stage has the same input
        part-00000.parquet          rows of batch 0; its presence says that batch 0 is done; its metadata, what that cost
        part-00000.rejected.jsonl   what batch 0 lost, written before its part; gone once the stage is complete
        rejected.jsonl              all that the stage lost: id, outcome (filtered | failed), reason, detail
        complete.json               counts; the marker, written last

Batches are cut from the sorted input, not from arrival, so any number of workers, kills and restarts gives the same files.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from vtalign.artifacts import read_jsonl, write_atomic, write_json, write_parquet
from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign_data.usage import Usage, total

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
        process: Callable[[Sequence[T]], BatchResult],
        *,
        batch_size: int | None,
        on_batch: Callable[[int, list[Rejected]], None] | None = None,
    ) -> StageCounts:
        """Process `items` (sorted by the caller; `key` gives their distinct ids) batch by batch, commit each, skip what is there.

        `batch_size` None: one batch of all. `on_batch` hears of every batch, made now or found: how many items, what was lost.
        Raises InputError where the folder was begun with another input.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()
        keys = [key(item) for item in items]
        if len(set(keys)) != len(keys):
            raise ValueError(f"{self.name}: input ids are not distinct")
        size = batch_size or max(1, len(items))
        self._claim({"input": stable_id("input", keys), "items": len(keys), "batch_size": size})
        starts = range(0, len(items), size)
        for number, start in enumerate(starts):
            batch = items[start : start + size]
            part, losses = self._part(number), self._losses(number)
            if not part.is_file():
                result = process(batch)
                # the losses first: a part that is there says that its losses are there too
                write_atomic(losses, "".join(json.dumps(asdict(lost), ensure_ascii=False) + "\n" for lost in result.rejected))
                write_parquet(part, result.rows, self._schema_with(result.usage))
            if on_batch and not self.is_complete:
                on_batch(len(batch), [Rejected(**row) for row in read_jsonl(losses)])
        if not self.is_complete:
            self._complete(len(starts))
        for number in range(len(starts)):
            self._losses(number).unlink(missing_ok=True)
        return self.counts()

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """Rows in the order of the parts."""
        for part in sorted(self.folder.glob("part-*.parquet")):
            yield from pq.read_table(part, columns=list(columns) if columns else None).to_pylist()

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

    def _complete(self, batches: int) -> None:
        losses = [row for number in range(batches) for row in read_jsonl(self._losses(number))]
        losses.sort(key=lambda row: (row["id"], row["reason"]))
        write_atomic(self.folder / "rejected.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in losses))
        by_outcome = {
            outcome: dict(sorted(Counter(row["reason"] for row in losses if row["outcome"] == outcome).items()))
            for outcome in ("filtered", "failed")
        }
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
