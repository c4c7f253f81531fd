"""A manifest of N rows through the listing and the first stages: rows per second and peak memory, for N from ten thousand to a million.

Metadata only: no video file is opened. The manifest (CSV, shuffled, every fourth row one more caption of a video that has one, one in
a hundred bad) is read, sorted and joined for real; the stages `01-scan`, `02-ingest`, `02a-frame-hashes` and `02b-near-duplicates` run
with their real batches, commits and indexes, but content hashes, durations and frame hashes are made up from the path instead of read
from a file (one file in 20 is an exact copy, one in 50 is missing, one in 100 is a near copy). Every size is a process of its own.

    python benchmarks/manifest.py                     # 10k, 100k and 1M rows
    python benchmarks/manifest.py --rows 1000000 --near-duplicates
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from vtalign_data import ingest, near_videos, scan
from vtalign_data.copies import Copies, group_copies
from vtalign_data.corpus import list_source, scan_batch_size
from vtalign_data.ingest_config import ColumnConfig, NearDuplicateConfig
from vtalign_data.listing.annotations import ANNOTATIONS
from vtalign_data.listing.index import Listed
from vtalign_data.listing.source import find_source
from vtalign_data.listing.table import write_annotations
from vtalign_data.near_videos import NearDuplicates, drop_near_duplicates
from vtalign_data.stage import BatchResult, Rejected, Row, Stage
from vtalign_data.stage_rows import StageRows

_FRAMES, _BATCH = 8, 32
_BLOCK = 10_000  # rows that are shuffled at a time while the manifest is written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--near-duplicates", action="store_true", help="also look for near copies (the slowest step by far)")
    parser.add_argument("--folder", type=Path, help="where manifest and run are written (default: a temporary folder)")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measure(arguments.one, arguments.folder, arguments.near_duplicates)))
        return
    from measure import table, write_results  # imports torch, whose memory is not what is measured

    results = []
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            write_manifest(Path(folder) / "list.csv", rows)
            command = [sys.executable, __file__, "--one", str(rows), "--folder", folder]
            command += ["--near-duplicates"] if arguments.near_duplicates else []
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(done.stdout.splitlines()[-1], flush=True)
    steps = list(results[0]["seconds"])
    lines = [
        [f"{r['rows']:,}", *(f"{r['seconds'][step]:.1f}" for step in steps), f"{r['rows_per_second']:,.0f}", f"{r['peak_mb']:.0f}",
         f"{r['start_mb']:.0f}", f"{r['videos']:,}", f"{r['lost']:,}", f"{r['annotations']:,}"]
        for r in results
    ]  # fmt: skip
    heads = ["rows", *(f"{step}, s" for step in steps), "rows/s", "peak MB", "MB at start", "videos kept", "lost", "captions"]
    text = table(heads, lines)
    print(text)
    write_results(arguments.out, "manifest", {"results": results}, text)


def write_manifest(path: Path, rows: int) -> None:
    """`rows` rows in an order that is not sorted; three in four name a video of their own."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as handle:
        handle.write("path,caption,number\n")
        for start in range(0, rows, _BLOCK):
            block = list(range(start, min(start + _BLOCK, rows)))
            draw.shuffle(block)
            for number in block:
                name = "" if number % 100 == 99 else _name(number - 1 if number % 4 == 3 else number)
                handle.write(f'{name},"caption {number}, of a video",{number}\n')


def _name(number: int) -> str:
    spread = hashlib.sha256(str(number).encode()).hexdigest()[:4]
    return f"{spread}/clip-{number:08d}.mp4"


def measure(rows: int, folder: Path, near: bool) -> dict[str, Any]:
    """Run everything on `folder`/list.csv in this process."""
    start_mb = _peak_mb()
    clock = _Steps()
    out = folder / "run"
    out.mkdir()
    source = find_source(folder / "list.csv", None, ColumnConfig(video="path", caption="caption", id="number"), None)
    listing = list_source(source, out, None)
    clock.mark("list, sort, join")
    scanned = Stage(out / "stages" / "01-scan", scan.SCHEMA, "file")
    size = scan_batch_size(_BATCH, len(listing.items))
    counts = [scanned.run(listing.items, lambda listed: listed.id, _scan, batch_size=size)]
    clock.mark("01-scan")
    copies = group_copies(scanned.rows(), out)
    kept = Stage(out / "stages" / "02-ingest", ingest.SCHEMA, "video")
    counts.append(kept.run(copies, lambda one: str(one[0]["video_id"]), _ingest, batch_size=size))
    clock.mark("copies, 02-ingest")
    if near:
        config = NearDuplicateConfig(max_distance=3, frames=_FRAMES)
        hashed = Stage(out / "stages" / "02a-frame-hashes", near_videos.SCHEMA, "video")
        counts.append(hashed.run(StageRows(kept), _video_id, _hash, batch_size=size))
        index = NearDuplicates(hashed.rows(["video_id", "video", "duration", "hashes"]), config, out)
        kept = Stage(out / "stages" / "02b-near-duplicates", ingest.SCHEMA, "video")
        counts.append(kept.run(StageRows(hashed), _video_id, lambda batch: drop_near_duplicates(batch, index), batch_size=size))
        clock.mark("near copies")
    annotations = write_annotations(out, listing, scanned, kept)
    clock.mark("captions")
    assert pq.read_metadata(out / ANNOTATIONS).num_rows == annotations
    shutil.rmtree(out)
    return {
        "rows": rows,
        "seconds": clock.seconds,
        "rows_per_second": rows / sum(clock.seconds.values()),
        "start_mb": start_mb,
        "peak_mb": _peak_mb(),
        "videos": counts[-1].kept,
        "lost": sum(stage.lost for stage in counts),
        "annotations": annotations,
    }


class _Steps:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step], self._last = now - self._last, now


def _peak_mb() -> float:
    # not ru_maxrss, which Linux hands down from the process that started this one
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def _number(path: str) -> int:
    return int(path[-12:-4])


def _scan(batch: Sequence[Listed]) -> BatchResult:
    """In place of reading the files: the content hash from the number in the name, one in 20 that of another file, one in 50 missing."""
    result = BatchResult()
    for listed in batch:
        if listed.lost is not None:
            result.rejected.append(listed.lost)
        elif _number(listed.id) % 50 == 0:
            result.rejected.append(Rejected(listed.id, "failed", "missing", f"no such file ({listed.place})"))
        else:
            number = _number(listed.id)
            content = number - 1 if number % 20 == 2 else number
            video_id = f"video-{hashlib.sha256(str(content).encode()).hexdigest()[:16]}"
            result.rows.append({"video": listed.id, "video_id": video_id, "bytes": number})
    return result


def _ingest(batch: Sequence[Copies]) -> BatchResult:
    """In place of decoding: 5 s to 35 s, eight frames with times."""
    result = BatchResult()
    for row, copies in batch:
        result.rejected.extend(Rejected(copy, "filtered", "duplicate", f"same content as {row['video']}") for copy in copies)
        duration = 5.0 + _number(row["video"]) * 7 % 3000 / 100
        described: Row = {"width": 640, "height": 360, "rotation": 0, "codec": "h264", "container_frames": 8, "frames": 8}
        described |= {"times": [duration * k / 8 for k in range(8)], "duration": duration, "access": "pass", "warnings": []}
        result.rows.append({**row, **described})
    return result


def _hash(batch: Sequence[Row]) -> BatchResult:
    """In place of hashing frames: random hashes, one in 100 five bits away from those of the video two before it."""
    return BatchResult([{**row, "hashes": list(_hashes(_number(row["video"])))} for row in batch])


def _hashes(number: int) -> Iterator[int]:
    near = number % 100 == 6
    draw = random.Random(number - 2 if near else number)
    for frame in range(_FRAMES):
        yield draw.getrandbits(64) ^ (0b11111 if near and frame == 0 else 0)


def _video_id(row: Row) -> str:
    return str(row["video_id"])


if __name__ == "__main__":
    main()
