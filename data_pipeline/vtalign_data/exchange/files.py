"""The data files of an export: what each trainer opens. Every one is written whole, by rename."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa

from vtalign.artifacts import write_atomic, write_json, write_parquet
from vtalign.preference.exports import llamafactory, rrpo, trl
from vtalign.preference.exports.formats import FormatName
from vtalign_data.stage import Row


def write_lines(path: Path, rows: Iterable[Row]) -> Path:
    """JSONL, atomic."""
    write_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def _write_ms_swift(out: Path, rows: list[Row]) -> Path:
    return write_lines(out / "ms_swift.jsonl", rows)


def _write_llamafactory(out: Path, rows: list[Row]) -> Path:
    write_json(out / "dataset_info.json", llamafactory.dataset_info())
    write_json(out / llamafactory.DATASET_FILE, rows)
    return out / llamafactory.DATASET_FILE


def _write_rrpo(out: Path, rows: list[Row]) -> Path:
    write_json(out / rrpo.DATA_FILE, rows)
    return out / rrpo.DATA_FILE


def _write_trl(out: Path, rows: list[Row]) -> Path:
    """Parquet that `datasets` opens with images as images: paths, not bytes, since the rows of a video share its frames."""
    turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    images = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    schema = pa.schema(
        [("prompt", turns), ("chosen", turns), ("rejected", turns), ("images", images), ("video", pa.string())],
        metadata={"huggingface": json.dumps({"info": {"features": trl.features()}})},
    )
    named = [{**row, "images": [{"bytes": None, "path": path} for path in row["images"]]} for row in rows]
    write_parquet(out / trl.DATA_FILE, named, schema)
    return out / trl.DATA_FILE


WRITERS: dict[FormatName, Callable[[Path, list[Row]], Path]] = {
    "trl": _write_trl,
    "ms-swift": _write_ms_swift,
    "llamafactory": _write_llamafactory,
    "rrpo": _write_rrpo,
}
