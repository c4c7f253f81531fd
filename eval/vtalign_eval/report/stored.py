"""What a run left in its folder, as far as pages need it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vtalign.artifacts import write_json
from vtalign.report.bars import Measure

_VIDEOS = "videos.json"


def write_hashes(folder: Path, hashes: Mapping[str, str | None]) -> None:
    """Keep the SHA-256 of every video (None: not readable), so that a page made later shows no other file under the same name."""
    write_json(folder / _VIDEOS, dict(sorted(hashes.items())))


def known_hashes(folder: Path) -> dict[str, str | None]:
    """What `write_hashes` kept; nothing where a run did not."""
    return read_json(folder / _VIDEOS) or {}


def read_json(path: Path) -> Any:
    """The content of a file, None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def measure_of(entry: Mapping[str, Any], chance: float | None) -> Measure:
    """A number of `results.json`, or of a comparison's sides."""
    low, high = entry["ci95"] or (None, None)
    return {
        "value": entry["value"],
        "low": low,
        "high": high,
        "n": entry["n"],
        "chance": chance,
        "minimum_detectable": entry.get("minimum_detectable"),
    }
