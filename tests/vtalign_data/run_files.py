"""What two runs of one build must have in common."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from vtalign_data.usage import DECODING, Usage


def asked_of_models(usage: Usage) -> dict[str, int]:
    """What the runs that are compared have in common: how often videos were decoded depends on who had which frames at hand."""
    return {name: count for name, count in usage.to_dict().items() if name not in DECODING}


def files_of(run: Path) -> dict[str, Any]:
    """Rows, losses and counts of every stage, and the pairs, to the byte. Only how often videos were decoded is left out: it depends
    on who had which frames in memory."""
    paths = [path for folder in ("stages", "pairs") for path in sorted((run / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(run)): _content(path) for path in paths}


def _content(path: Path) -> Any:
    if path.name == "complete.json":
        counts = json.loads(path.read_text())
        return {**counts, "usage": {name: count for name, count in counts["usage"].items() if name not in DECODING}}
    if path.suffix == ".parquet" and path.parent.name != "pairs":
        return pq.read_table(path).to_pylist()
    return path.read_bytes()
