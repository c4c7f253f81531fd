"""Preference pairs on disk: schema version 1 as Parquet, read with errors that name file, column and value."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vtalign.artifacts import write_parquet
from vtalign.errors import InputError
from vtalign.preference.pair import (
    SOURCES,
    AppliedPerturbation,
    PreferenceGroup,
    PreferencePair,
    Scores,
    Spans,
    TokenLogps,
    group_id_of,
    group_pairs,
    video_prompt,
)
from vtalign.video.view import FrameTransform, Slot, VideoView

__all__ = [
    "PAIR_SCHEMA",
    "SCHEMA_VERSION",
    "AppliedPerturbation",
    "PreferenceGroup",
    "PreferencePair",
    "Scores",
    "TokenLogps",
    "group_id_of",
    "group_pairs",
    "read_pairs",
    "video_prompt",
    "write_pairs",
]

SCHEMA_VERSION = 1
_VERSION_KEY = b"vtalign.schema_version"
_ROWS_PER_FILE = 4096
_ROWS_READ = 1024

_TEXT = pa.string()
_SLOT = pa.struct(
    [
        ("video_id", _TEXT),
        ("frame", pa.int64()),
        ("time", pa.float64()),
        ("transform", pa.struct([("name", _TEXT), ("seed", pa.int64()), ("strength", pa.int64())])),  # strength: null = default
    ]
)
_VIEW = [("fps", pa.float64()), ("slots", pa.list_(_SLOT))]
OTHER_VIDEOS = pa.list_(pa.struct([("video_id", _TEXT), ("video", _TEXT)]))
"""Paths of the videos that a view shows besides the pair's own one."""
_SPANS = pa.list_(pa.struct([("start", pa.int64()), ("stop", pa.int64())]))

PAIR_SCHEMA = pa.schema(
    [
        ("pair_id", _TEXT),
        ("group_id", _TEXT),
        ("video_id", _TEXT),
        ("video", _TEXT),
        ("other_videos", OTHER_VIDEOS),
        ("view_id", _TEXT),
        ("view", pa.struct([*_VIEW, ("sampling", _TEXT)])),  # sampling: JSON
        ("rejected_view", pa.struct(_VIEW)),
        ("perturbed_view", pa.struct(_VIEW)),
        ("prompt", _TEXT),
        ("chosen", _TEXT),
        ("rejected", _TEXT),
        ("perturbation", pa.struct([("name", _TEXT), ("strength", pa.int64()), ("seed", pa.int64()), ("parameters", _TEXT)])),
        ("source", _TEXT),
        ("kind", _TEXT),
        ("chosen_spans", _SPANS),
        ("rejected_spans", _SPANS),
        ("chosen_requests", pa.list_(_TEXT)),
        ("rejected_requests", pa.list_(_TEXT)),
        (
            "scores",
            pa.struct(
                [
                    ("logp_chosen", pa.float64()),
                    ("logp_rejected", pa.float64()),
                    ("tokens_chosen", pa.int64()),
                    ("tokens_rejected", pa.int64()),
                    ("logp_chosen_perturbed", pa.float64()),
                    ("divergence", pa.float64()),
                    ("first_token_kl", pa.float64()),
                    ("ches", pa.float64()),
                ]
            ),
        ),
        ("token_logps", pa.struct([(name, pa.list_(pa.float32())) for name in ("chosen", "rejected", "chosen_perturbed")])),
        ("difficulty", pa.float64()),
        ("fingerprint", _TEXT),
    ],
    metadata={_VERSION_KEY: str(SCHEMA_VERSION).encode()},
)

# What a pair cannot do without; the other columns may be absent or null (pairs that another tool wrote). A null view is for pairs
# of source `text` that show nothing.
_REQUIRED = ("pair_id", "video_id", "video", "view", "prompt", "chosen", "rejected", "source")
_TEXT_ONLY = "text"


def write_pairs(folder: Path, pairs: Iterable[PreferencePair]) -> list[Path]:
    """Write `part-*.parquet` into `folder`, sorted by pair id, each atomically; returns the paths (one empty file for none)."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [pair_row(pair) for pair in sorted(pairs, key=lambda pair: pair.pair_id)]
    paths = []
    for number, start in enumerate(range(0, max(len(rows), 1), _ROWS_PER_FILE)):
        path = folder / f"part-{number:05d}.parquet"
        write_parquet(path, rows[start : start + _ROWS_PER_FILE], PAIR_SCHEMA)
        paths.append(path)
    return paths


def read_pairs(path: str | Path) -> list[PreferencePair]:
    """Pairs of one Parquet file or of all `*.parquet` in a folder, sorted by pair id.

    Raises InputError that names the file, the row, the column and the value.
    """
    pairs = [pair for file in pair_files(path) for pair in _read_file(file)]
    seen: set[str] = set()
    for pair in pairs:
        if pair.pair_id in seen:
            raise InputError(f"{path}: column pair_id: '{pair.pair_id}' is there twice")
        seen.add(pair.pair_id)
    return sorted(pairs, key=lambda pair: pair.pair_id)


def pair_files(path: str | Path) -> list[Path]:
    """The Parquet files of a folder of pairs, sorted, or the one file. Raises InputError where there are none."""
    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not path.exists():
        raise InputError(f"{path}: no such file or folder of pairs")
    if not files:
        raise InputError(f"{path}: no *.parquet files in this folder")
    return files


def _read_file(file: Path) -> list[PreferencePair]:
    batches = read_batches(file, open_pair_file(file))
    return [
        pair_of_row(row, f"{file}: row {number}")
        for number, row in enumerate(row for batch in batches for row in batch.to_pylist())
    ]


def read_batches(file: Path, opened: pq.ParquetFile, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """All rows, 1,024 at a time; fields of a struct as `perturbation.name`. Raises InputError where the file is torn."""
    try:
        yield from opened.iter_batches(_ROWS_READ, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file}: not a readable Parquet file: {str(error).splitlines()[0]}") from None


def open_pair_file(file: Path) -> pq.ParquetFile:
    """A Parquet file whose columns are those of a pair. Raises InputError that names the file and the column."""
    try:
        opened = pq.ParquetFile(file)
        schema = opened.schema_arrow
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file}: not a readable Parquet file: {str(error).splitlines()[0]}") from None
    version = (schema.metadata or {}).get(_VERSION_KEY, b"1").decode()
    if version != str(SCHEMA_VERSION):
        raise InputError(f"{file}: pairs of schema version {version}; this vtalign reads version {SCHEMA_VERSION}")
    for column in _REQUIRED:
        if column not in schema.names:
            raise InputError(f"{file}: column {column} is missing")
    for field in PAIR_SCHEMA:
        if field.name in schema.names and not _fits(schema.field(field.name).type, field.type):
            found = schema.field(field.name).type
            raise InputError(f"{file}: column {field.name}: has type {found}, expected {field.type}")
    return opened


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Same shape; widths, the order of struct fields and all-null columns (what pandas or datasets may change) do not matter."""
    if pa.types.is_null(found):
        return True
    if pa.types.is_struct(wanted):
        fields = {field.name: field.type for field in found} if pa.types.is_struct(found) else {}
        return bool(fields) and all(_fits(fields[field.name], field.type) for field in wanted if field.name in fields)
    if pa.types.is_list(wanted):
        return (pa.types.is_list(found) or pa.types.is_large_list(found)) and _fits(found.value_type, wanted.value_type)
    if pa.types.is_string(wanted):
        return pa.types.is_string(found) or pa.types.is_large_string(found)
    number = pa.types.is_integer(found)
    return number if pa.types.is_integer(wanted) else number or pa.types.is_floating(found)


def pair_row(pair: PreferencePair) -> dict[str, Any]:
    """The pair as one row of `PAIR_SCHEMA`."""
    row = {name: getattr(pair, name) for name in PAIR_SCHEMA.names}
    row["view"] = {**pair.view.to_dict(), "sampling": _json(pair.sampling)} if pair.view is not None else None
    row["other_videos"] = [{"video_id": video_id, "video": video} for video_id, video in pair.other_videos]
    for name in ("rejected_view", "perturbed_view"):
        row[name] = row[name].to_dict() if row[name] is not None else None
    if pair.perturbation is not None:
        row["perturbation"] = {**vars(pair.perturbation), "parameters": _json(pair.perturbation.parameters)}
    for name in ("chosen_spans", "rejected_spans"):
        row[name] = [{"start": start, "stop": stop} for start, stop in row[name]]
    for name in ("chosen_requests", "rejected_requests"):
        row[name] = list(row[name])
    for name in ("scores", "token_logps"):
        row[name] = dict(vars(row[name])) if row[name] is not None else None
    return row


def pair_of_row(row: Mapping[str, Any], at: str) -> PreferencePair:
    """The pair of one row of `PAIR_SCHEMA`. `at` names the row in errors: InputError that names column and value too."""

    def fail(column: str, problem: str) -> InputError:
        value = repr(row.get(column))
        return InputError(f"{at}: column {column}: {problem} (value: {value if len(value) <= 80 else value[:77] + '...'})")

    for column in _REQUIRED:
        if row[column] is None and column != "view":
            raise fail(column, "is null")
    for column in ("prompt", "chosen", "rejected"):
        if not row[column].strip():
            raise fail(column, "is empty")
    if row["source"] not in SOURCES:
        raise fail("source", f"expected one of {', '.join(SOURCES)}")
    if row["chosen"] == row["rejected"] and row.get("rejected_view") is None:
        raise fail("rejected", "equals chosen, and both sides see the same view")
    views = {}
    for column in ("view", "rejected_view", "perturbed_view"):
        try:
            views[column] = _view(row.get(column))
        except (KeyError, TypeError, ValueError) as error:
            raise fail(column, f"is no view ({error})") from None
    view = views["view"]
    if view is None and (row["source"] != _TEXT_ONLY or views["rejected_view"] or views["perturbed_view"]):
        raise fail("view", f"is no view (it has no slots; a pair of source {_TEXT_ONLY} without other views can do without)")
    try:
        sampling = _object(row["view"].get("sampling")) if view is not None else None
    except ValueError:
        raise fail("view", "its sampling is no JSON object") from None
    try:
        perturbation = _perturbation(row.get("perturbation"))
    except (KeyError, TypeError, ValueError) as error:
        raise fail("perturbation", f"is not complete ({error})") from None
    spans = {}
    for side in ("chosen", "rejected"):
        try:
            spans[side] = _spans(row.get(f"{side}_spans"), len(row[side]))
        except ValueError as error:
            raise fail(f"{side}_spans", str(error)) from None
    try:
        scores = Scores(**row["scores"]) if row.get("scores") and row["scores"].get("logp_chosen") is not None else None
    except TypeError as error:
        raise fail("scores", str(error)) from None
    others = row.get("other_videos") or ()
    if any(other["video_id"] is None or other["video"] is None for other in others):
        raise fail("other_videos", "has a video without id or path")
    token_logps = _token_logps(row.get("token_logps"))
    if scores is not None and token_logps is not None:
        counts = len(token_logps.chosen), len(token_logps.rejected)
        if counts != (scores.tokens_chosen, scores.tokens_rejected):
            raise fail("token_logps", f"has {counts[0]} and {counts[1]} tokens, scores say otherwise")
    view_id = row.get("view_id") or (view.view_id if view is not None else "")
    return PreferencePair(
        pair_id=row["pair_id"],
        group_id=row.get("group_id") or group_id_of(view_id, row["prompt"], row["chosen"]),
        video_id=row["video_id"],
        video=row["video"],
        other_videos=tuple((other["video_id"], other["video"]) for other in others),
        view_id=view_id,
        view=view,
        prompt=row["prompt"],
        chosen=row["chosen"],
        rejected=row["rejected"],
        source=row["source"],
        kind=row.get("kind") or "response",
        sampling=sampling,
        rejected_view=views["rejected_view"],
        perturbed_view=views["perturbed_view"],
        perturbation=perturbation,
        chosen_spans=spans["chosen"],
        rejected_spans=spans["rejected"],
        chosen_requests=tuple(row.get("chosen_requests") or ()),
        rejected_requests=tuple(row.get("rejected_requests") or ()),
        scores=scores,
        token_logps=token_logps,
        difficulty=row.get("difficulty"),
        fingerprint=row.get("fingerprint"),
    )


def _view(data: Mapping[str, Any] | None) -> VideoView | None:
    if data is None or data.get("slots") is None:
        return None
    slots = []
    for slot in data["slots"]:
        transform = slot.get("transform")
        named = transform is not None and transform.get("name") is not None
        slots.append(Slot(slot["video_id"], slot["frame"], slot["time"], FrameTransform.from_dict(transform) if named else None))
    if not slots:
        raise ValueError("it has no slots")
    if lowest := min((slot.frame for slot in slots if slot.frame is not None and slot.frame < 0), default=None):
        raise ValueError(f"it shows frame {lowest}")
    if data["fps"] is None or not data["fps"] > 0:
        raise ValueError(f"its fps is {data['fps']}")
    return VideoView(tuple(slots), data["fps"])


def _perturbation(data: Mapping[str, Any] | None) -> AppliedPerturbation | None:
    if data is None or data.get("name") is None:
        return None
    return AppliedPerturbation(data["name"], int(data["strength"]), int(data["seed"]), _object(data["parameters"]) or {})


def _token_logps(data: Mapping[str, Any] | None) -> TokenLogps | None:
    if data is None or data.get("chosen") is None or data.get("rejected") is None:
        return None
    perturbed = data.get("chosen_perturbed")
    return TokenLogps(tuple(data["chosen"]), tuple(data["rejected"]), tuple(perturbed) if perturbed is not None else None)


def _spans(data: Iterable[Mapping[str, int]] | None, length: int) -> Spans:
    spans, last = [], 0
    for span in data or ():
        start, stop = span["start"], span["stop"]
        if not last <= start < stop <= length:
            raise ValueError(f"span ({start}, {stop}) does not lie in its {length} characters, in order and without overlap")
        spans.append((start, stop))
        last = stop
    return tuple(spans)


def _object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {text!r}")
    return value


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))
