"""What a run leaves, in a form that another run of the same work must equal."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from vtalign_data.usage import DECODING

NOT_COMPARED = {"timing.json"}
Files = dict[str, bytes]
"""What is compared of each file, by its path in the run folder."""


def files_in(folder: Path) -> Files:
    """The bytes of all that is compared; what a killed write left behind is in it."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in NOT_COMPARED)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def build_files(folder: Path) -> Files:
    """As `files_in`, of a build: all to the byte, but for its clock, its own place and how often it decoded, which depends on what
    was still in memory. Those stand in the summary, in the marker of a stage and beside the rows of its parts."""
    return {name: _settled(folder / name, data) for name, data in files_in(folder).items()}


def _settled(path: Path, data: bytes) -> bytes:
    if path.name == "complete.json":
        return _json(_without_decodes(json.loads(data)))
    if path.name == "summary.json" and "statistics" in (summary := json.loads(data)):
        stages = [_without_decodes(stage) for stage in summary["stages"]]
        return _json({**_without_decodes(summary), "stages": stages, "out": None, "seconds": None, "decodes": None})
    if path.suffix == ".parquet" and path.parent.parent.name == "stages":
        table = pq.read_table(path)
        usage = json.loads((table.schema.metadata or {}).get(b"vtalign.usage", b"{}"))
        return _json({"rows": table.to_pylist(), **_without_decodes({"usage": usage})})
    return data


def _without_decodes(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "usage": {**record["usage"], **dict.fromkeys(DECODING)}}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def replies_kept(out: Path) -> str:
    """How far a killed `eval` was."""
    replies = sum(path.read_bytes().count(b"\n") for path in out.rglob("predictions.jsonl"))
    return f"{replies} replies, {_last_file(out)}"


def batches_kept(out: Path) -> str:
    """How far a killed build was."""
    stages = list(out.glob("stages/*/complete.json"))
    return f"{len(list(out.glob('stages/*/part-*.parquet')))} batches, {len(stages)} whole stages, {_last_file(out)}"


def _last_file(out: Path) -> str:
    files = [path for path in out.rglob("*") if path.is_file() and not path.name.endswith(".partial")]
    last = max(files, key=lambda path: path.stat().st_mtime_ns, default=out)
    return f"{len(files)} files, the last one {last.relative_to(out)}"


@dataclass(frozen=True)
class Subject:
    """What is disturbed: `run` takes an output folder, `files` what of it is compared, `progress` says how far it is."""

    run: Callable[[Path], Any]
    files: Callable[[Path], Files] = files_in
    progress: Callable[[Path], str] = replies_kept


def differences(found: Files, expected: Files) -> list[str]:
    """One line for each file that is missing, too many or other."""
    lines = [f"{name} is missing" for name in expected if name not in found]
    lines += [f"{name} is left over" for name in found if name not in expected]
    return lines + [f"{name} differs" for name in expected if name in found and found[name] != expected[name]]
