"""How long a build decodes, against one plain pass over the same videos.

    python benchmarks/passes.py --videos DIR [--repeats 3]
    python benchmarks/passes.py                            # a synthetic corpus

A build makes one pass over a video where it can (`vtalign_data/shots_ahead.py`): ingest probes every frame with its checks, and takes
along what the shot stage looks at and the frames that models are shown, resized, for the frame cache. Where it cannot, these are two
passes, which are measured too; the shots must be the same. All are the stage functions of `data build`, with one decoder process; its
seconds from job to answer count, so checking, hashing, converting, resizing and sending frames are in them. The plain pass is PyAV,
one thread, every frame decoded and none converted, in this process. Sides take turns; a ratio is of one turn. Videos that ingest
refuses are left out of all. `--clock cpu` takes the processor time of the decoder process and of the plain pass instead, for a machine
that is not idle (Linux).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import av

from vtalign.ids import video_id_of
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeLimits, DecodeWorkers
from vtalign.video.sample import FramePolicy
from vtalign_data.config import ClipConfig
from vtalign_data.embed import HistogramEncoder
from vtalign_data.ingest import ingest
from vtalign_data.ingest_config import IngestConfig
from vtalign_data.known_shots import KnownShots
from vtalign_data.run_frames import frames_shown
from vtalign_data.shot_pass import make_shots
from vtalign_data.shots_ahead import open_ahead
from vtalign_data.synth import write_corpus
from vtalign_data.views import make_views

sys.path.insert(0, str(Path(__file__).parent))
from measure import Clock, machine, table, write_results

POLICY = FramePolicy()
"""Two frames a second, 64 at most, of 147,456 pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, help="folder of videos; default: a synthetic corpus of 60")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.videos
        if folder is None:
            write_corpus(Path(scratch) / "corpus", 60, 0)
            folder = Path(scratch) / "corpus" / "train" / "videos"
        turns = measure(folder, Path(scratch), arguments.repeats)
    found = {"videos": str(folder), "clock": arguments.clock, "machine": machine(1, "cpu"), "turns": turns}
    text = report(turns, arguments.clock)
    write_results(arguments.out, "passes", found, text)
    print(json.dumps(found["machine"]))
    print(text)


def measure(folder: Path, scratch: Path, repeats: int) -> list[dict[str, Any]]:
    """One entry per turn: seconds of the one pass, of the two and of the plain one, and how many videos and frames."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    scanned = [
        ({"video": name, "video_id": video_id_of(folder / name), "bytes": (folder / name).stat().st_size}, []) for name in names
    ]
    with DecodeWorkers(1, DecodeLimits()) as workers:
        found = ingest(
            scanned, folder, workers, "pyav", IngestConfig()
        ).rows  # also starts the process and warms the disk's cache
    by_name = {row["video"]: row for row in found}
    read = [copies for copies in scanned if copies[0]["video"] in by_name]
    return [turn(folder, scratch / f"frames-{number}", read) for number in range(repeats)]


def turn(folder: Path, cache: Path, scanned: list[tuple[dict[str, Any], list[str]]]) -> dict[str, Any]:
    paths = [folder / row["video"] for row, _ in scanned]
    with DecodeWorkers(1, DecodeLimits()) as workers:
        workers.probe(paths[0])  # starts the process
        workers.seconds.clear()
        cpu = [cpu_seconds(workers)]
        infos = {row["video_id"]: row for row in ingest(scanned, folder, workers, "pyav", IngestConfig()).rows}
        cpu.append(cpu_seconds(workers))
        views = make_views(list(infos.values()), POLICY, "pyav").rows
        shown = frames_shown(views, [])
        videos = {video_id: row["video"] for video_id, row in infos.items()}
        viewed = [{**infos[row["video_id"]], **row} for row in views]
        with FrameStore(folder, videos, POLICY, workers=workers, cache=cache / "two", shown=shown) as store:
            found = make_shots(viewed, ClipConfig(), store, HistogramEncoder(), all_shown=True)
        cpu.append(cpu_seconds(workers))
        assert workers.passes == {"probe": len(paths) + 1, "read": len(views)}
        wall = {"ingest": workers.seconds["probe"], "read": workers.seconds["read"]}
        workers.seconds.clear()
        known = KnownShots(cache / "shots")
        cache.mkdir(exist_ok=True)
        ahead = open_ahead(ClipConfig(), [], POLICY, True, cache / "one", False, known)
        ingest(scanned, folder, workers, "pyav", IngestConfig(), ahead=ahead)
        with FrameStore(folder, videos, POLICY, workers=workers, cache=cache / "one", shown=shown) as store:
            again = make_shots(viewed, ClipConfig(), store, HistogramEncoder(), all_shown=True, known=known)
        cpu.append(cpu_seconds(workers))
        if again != found:
            raise SystemExit("one pass finds other shots than two")
        wall["one"] = sum(workers.seconds.values())
    clock = Clock("cpu")
    frames = sum(map(decode_plainly, paths))
    plain = clock()
    sides = {
        "wall": {**wall, "plain": plain["wall"]},
        "cpu": {"ingest": cpu[1] - cpu[0], "read": cpu[2] - cpu[1], "one": cpu[3] - cpu[2], "plain": plain["cpu"]},
    }
    for side in sides.values():
        side.update(of_two=side["one"] / (side["ingest"] + side["read"]), ratio=side["one"] / side["plain"])
    return {"videos": len(paths), "frames": frames, **sides}


def cpu_seconds(workers: DecodeWorkers) -> float:
    """Processor time of the one decoder process so far; 0 where the system does not say."""
    [pid] = workers.pids
    file = Path(f"/proc/{pid}/stat")
    if not file.is_file():
        return 0.0
    user, system = file.read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def decode_plainly(path: Path) -> int:
    """Decode all frames and do nothing with them."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def report(turns: list[dict[str, Any]], clock: str) -> str:
    cells = [spread([turn[clock][name] for turn in turns]) for name in ("ingest", "read", "one", "plain", "of_two", "ratio")]
    heads = ("videos", "frames", "ingest, s", "shots and views, s", "in one, s", "plain pass, s", "one / two", "one / plain")
    return table(heads, [[turns[0]["videos"], turns[0]["frames"], *cells]])


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    main()
