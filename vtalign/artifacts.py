"""Files that survive a kill: atomic writes, append-only JSONL with tolerated torn tails, run folders with an owner."""

import errno
import fcntl
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from vtalign.errors import InputError


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` so that `path` either keeps its old content or has all of the new one, also across a power cut."""
    write_atomic_lines(path, (data,))


def write_atomic_lines(path: Path, lines: Iterable[bytes | str]) -> None:
    """Like `write_atomic`, for what need not fit into memory; line ends are the caller's."""
    os.replace(_written_beside(path, lines), path)
    _sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Atomic, indented, key order kept."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_parquet(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Atomic Parquet file of `rows` under an explicit schema (an empty list gives an empty, readable file)."""
    temporary = _temporary(path)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def write_parquet_batches(path: Path, batches: Iterable[list[dict[str, Any]]], schema: pa.Schema) -> None:
    """Like `write_parquet`, holding one batch (a row group) at a time."""
    temporary = _temporary(path)
    with pq.ParquetWriter(temporary, schema) as writer:
        for rows in batches:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    os.replace(temporary, path)
    _sync_folder(path.parent)


def append_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows and fsync; a torn last line left by a kill is cut off first."""
    _cut_torn_tail(path)
    with path.open("ab") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSONL file. A torn last line (no newline) is skipped; any other bad line raises InputError."""
    with path.open("rb") as handle:
        for number, line in enumerate(handle, 1):
            if not line.endswith(b"\n"):
                return
            yield parse_line(path, number, line)


def parse_line(path: Path, number: int, line: str | bytes) -> dict[str, Any]:
    """The object on one line of a JSONL file. Raises InputError `path:number: reason`."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}:{number}: not valid JSON: {error}") from None
    if not isinstance(row, dict):
        raise InputError(f"{path}:{number}: expected a JSON object, got {type(row).__name__}")
    return row


def claim_run_folder(folder: Path, settings: dict[str, Any], command: str) -> bool:
    """Make `folder` the home of this run, or accept it when an earlier, same run left it. True when resuming.

    `settings` is all that decides the result; it is kept in `run.yaml`. Raises InputError where the folder belongs to another run, is
    not empty, or cannot be written.
    """
    record = folder / "run.yaml"
    wanted = {"command": command, **json.loads(json.dumps(settings))}
    make_folder(folder)
    if not record.is_file():
        if any(not entry.name.endswith(".partial") for entry in folder.iterdir()) and not record.is_file():
            raise InputError(f"{folder}: not empty and holds no run of `vtalign {command}`; choose an empty output folder")
        if _write_new(record, yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)):
            return False
    try:
        found = yaml.safe_load(record.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise InputError(f"{record}: cannot be read as YAML; choose another output folder or remove this one") from None
    difference = _first_difference(found, wanted)
    if difference:
        raise InputError(f"{folder}: holds another run ({difference}); choose another output folder or remove this one")
    return True


@contextmanager
def hold_run_folder(folder: Path) -> Iterator[None]:
    """Keep a claimed folder from other processes until the block is left or this process ends, however that happens.

    Raises InputError where another one holds it. The lock is on `run.yaml`: nothing is written, and it reaches as far as the file
    system takes locks.
    """
    record = folder / "run.yaml"
    taken = InputError(
        f"{folder}: another process works in this folder; wait until it has ended, or choose another output folder"
    )
    try:
        handle = record.open("r+b")  # writable: NFS wants it so for an exclusive lock
    except FileNotFoundError:
        raise taken from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise taken from None
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):  # a file system without locks
                raise
        if not record.is_file() or not os.path.samestat(os.fstat(handle.fileno()), record.stat()):
            raise taken  # it was given back and claimed anew meanwhile
        yield


def make_folder(folder: Path) -> None:
    """Make an output folder, or see that it can be written to. Raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = _temporary(folder / "probe")
        probe.touch()
        probe.unlink(missing_ok=True)  # who works in the folder may remove what looks left over
    except OSError as error:
        raise InputError(f"{folder}: cannot write there: {error.strerror}; choose another output folder") from None


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writes left in a run folder and below: for the end of a run, when nothing else writes there."""
    for leftover in folder.rglob(".*.partial"):
        if leftover.is_file():
            leftover.unlink(missing_ok=True)


def _first_difference(found: Any, wanted: Any, at: str = "") -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            difference = _first_difference(found.get(key), wanted.get(key), f"{at}.{key}" if at else str(key))
            if difference:
                return difference
        return ""
    return "" if found == wanted else f"{at or 'run.yaml'}: {found!r} there, {wanted!r} asked"


def _write_new(path: Path, data: str) -> bool:
    """Like `write_atomic`, unless `path` is there; False where another process was first."""
    temporary = _written_beside(path, (data,))
    try:
        os.link(temporary, path)
        temporary.unlink(missing_ok=True)
    except FileExistsError:
        temporary.unlink(missing_ok=True)
        return False
    except OSError:  # a file system without links
        os.replace(temporary, path)
    _sync_folder(path.parent)
    return True


def _written_beside(path: Path, lines: Iterable[bytes | str]) -> Path:
    """A temporary file with all of `lines`, synced."""
    temporary = _temporary(path)
    with temporary.open("wb") as handle:
        handle.writelines(line.encode() if isinstance(line, str) else line for line in lines)
        handle.flush()
        os.fsync(handle.fileno())
    return temporary


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cut_torn_tail(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as handle:
        size = handle.seek(0, os.SEEK_END)
        position = size
        while position > 0:
            handle.seek(position - 1)
            if handle.read(1) == b"\n":
                break
            position -= 1
        if position != size:
            handle.truncate(position)
