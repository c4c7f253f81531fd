"""Disturb runs on purpose, and hold what they leave against undisturbed ones. The exit code is 1 where something differs or is lost.

python benchmarks/faults.py eval|score|build --kills 25 --seed 0     # SIGKILL at random moments, also inside writes
python benchmarks/faults.py workers decoder|model|ray --kills 5      # SIGKILL to one worker of a build
python benchmarks/faults.py mutations --count 500 --seed 0 [--videos DIR]   # damaged copies of real videos
python benchmarks/faults.py server [FAULT ..] --seed 0                # a proxy that fails between build and server
python benchmarks/faults.py disk --times 6 --seed 0                  # the disk fills up (needs the right to mount)
"""

import argparse
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from faults_build import build_subject
from faults_disk import fill_disks
from faults_files import Subject
from faults_kills import kill_and_compare
from faults_mutants import REAL_CLIPS, build_mutants
from faults_server import ALL, FAULTS, build_through_faults
from faults_subjects import eval_subject, score_subject
from faults_workers import TARGETS, kill_workers

SUBJECTS: dict[str, Callable[[Path], Subject]] = {"eval": eval_subject, "score": score_subject, "build": build_subject}


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    draw = random.Random(given.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that folders and mounts go
    with tempfile.TemporaryDirectory(prefix="vtalign-faults-") as temporary:
        folder = Path(temporary)
        match given.command:
            case "workers":
                return kill_workers(folder, given.target, given.kills, draw)
            case "mutations":
                return build_mutants(folder, given.videos, given.count, given.seed)
            case "server":
                return build_through_faults(folder, given.faults, given.seed)
            case "disk":
                return fill_disks(folder, given.times, draw)
            case command:
                return kill_and_compare(SUBJECTS[command](folder), folder, given.kills, draw)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    parsers = {name: commands.add_parser(name) for name in (*SUBJECTS, "workers", "mutations", "server", "disk")}
    for command in parsers.values():
        command.add_argument("--seed", type=int, default=0)
    for name in SUBJECTS:
        parsers[name].add_argument("--kills", type=int, default=25)
    parsers["workers"].add_argument("target", choices=sorted(TARGETS))
    parsers["workers"].add_argument("--kills", type=int, default=5, help="builds, one kill each")
    parsers["mutations"].add_argument("--count", type=int, default=500)
    parsers["mutations"].add_argument("--videos", type=Path, default=REAL_CLIPS, help="folder; default: ../shared/data/clips")
    faults = (*FAULTS, ALL)
    parsers["server"].add_argument("faults", nargs="*", default=faults, help=f"of {', '.join(faults)}; default: each of them")
    parsers["disk"].add_argument("--times", type=int, default=6, help="builds, each on a disk of its own size")
    return parser


if __name__ == "__main__":
    sys.exit(main())
