"""What is inspected: a finished data build, or pairs alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from vtalign.errors import InputError
from vtalign.preference.schema import pair_files


@dataclass(frozen=True)
class InspectSource:
    """`pairs` is a folder or file of pairs; `run` the build that made them, None for pairs alone; `root` is where the videos are,
    None where nobody said; `summary` is the build's own."""

    pairs: Path
    run: Path | None
    root: Path | None
    summary: dict[str, Any] | None

    @property
    def home(self) -> Path:
        """The folder that the page is written to."""
        return self.run or (self.pairs if self.pairs.is_dir() else self.pairs.parent)

    def stage_rows(self, name: str, columns: list[str]) -> Iterator[dict[str, Any]]:
        """Rows of the build's stage of that name (without its number), column by column as asked; none for pairs alone."""
        for part in sorted(self.run.glob(f"stages/*-{name}/part-*.parquet")) if self.run else ():
            try:
                for batch in pq.ParquetFile(part).iter_batches(1024, columns=columns):
                    yield from batch.to_pylist()
            except (OSError, pa.ArrowException) as error:
                raise InputError(f"{part}: not a readable Parquet file: {str(error).splitlines()[0]}") from None


def find_source(folder: Path, videos: Path | None) -> InspectSource:
    """`folder`: the folder of a build, or of pairs, or one Parquet file; `videos`: where the videos are, None: where the build had them.

    Raises InputError where there are no pairs, where the build is not finished, or where `videos` is no folder.
    """
    if videos is not None and not videos.is_dir():
        raise InputError(f"--videos {videos}: no such folder")
    if not folder.exists():
        raise InputError(f"{folder}: no such file or folder of pairs")
    if not (folder / "run.yaml").is_file():
        pairs = folder / "pairs" if (folder / "pairs").is_dir() else folder
        pair_files(pairs)
        return InspectSource(pairs, None, videos, None)
    record = _run_record(folder / "run.yaml")
    summary = folder / "summary.json"
    if not (folder / "pairs").is_dir() or not summary.is_file():
        raise InputError(f"{folder}: the build is not finished; run the same `vtalign data build` again, then inspect it")
    root = record.get("config", {}).get("root")
    return InspectSource(folder / "pairs", folder, videos or (Path(root) if root else None), _json_object(summary))


def _run_record(path: Path) -> dict[str, Any]:
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: not readable as YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(record, dict) or record.get("command") != "data build" or not isinstance(record.get("config"), dict):
        command = record.get("command") if isinstance(record, dict) else None
        raise InputError(f"{path}: tells of a run of {command!r}, not of 'data build'; name a build's folder or its pairs/")
    return record


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(value, dict) or "stages" not in value:
        raise InputError(f"{path}: is no summary of a build: it has no 'stages'")
    return value
