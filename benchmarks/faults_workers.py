"""Kill one worker process of a build at a random moment, while it is at work: the build itself goes on to the undisturbed files.

A worker is one that decodes, one that holds a model (`runner.model_workers=2`), or one of Ray's (`runner.kind=ray`).
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from faults_build import build_subject
from faults_files import differences
from faults_kills import ended, start, undisturbed


@dataclass(frozen=True)
class Target:
    """Whose command line is looked for; the last stage that has such processes; the runner that starts them, and what else is changed
    of the build that they and nobody else work on."""

    is_one: Callable[[str], bool]
    last_stage: str
    runner: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)


# Every stage starts processes that load a model: two such stages are enough.
_TWO_STAGES = {"sources": ["self"], "annotations": {}, "text_pairs": None}

TARGETS = {
    "decoder": Target(lambda line: "vtalign.video.worker" in line, "06-captions"),
    "model": Target(lambda line: "multiprocessing.spawn" in line, "10-score", {"model_workers": 2}, _TWO_STAGES),
    "ray": Target(lambda line: line.startswith("ray::MapWorker") and "submit" in line, "10-score", {"kind": "ray"}, _TWO_STAGES),
}


def kill_workers(folder: Path, name: str, kills: int, draw: random.Random) -> int:
    """A build for each of `kills` kills, each after another number of committed batches. Returns the exit code."""
    target = TARGETS[name]
    subject = build_subject(folder, runner=target.runner, **target.changes)
    whole = undisturbed(build_subject(folder, **target.changes), folder)
    parts = sorted((folder / "undisturbed").glob("stages/*/part-*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    batches = max(number for number, path in enumerate(parts, 1) if path.parent.name == target.last_stage)
    print(f"undisturbed: {whole.seconds:.1f} s, {len(whole.files)} files, {len(parts)} batches", flush=True)
    done, wrong, tries = 0, 0, 0
    while done < kills:
        tries += 1
        out = folder / f"round-{tries}"
        killed = _run_and_kill(start(subject, out), out, target, draw.randrange(batches))
        if killed is None:  # nobody was at work any more
            continue
        done += 1
        differing = differences(subject.files(out), whole.files)
        wrong += bool(differing)
        print(f"kill {done:3d}: {killed}: {'; '.join(differing) or 'equal to the undisturbed run'}", flush=True)
    print(f"{done} {name} workers killed, one a build: {done - wrong} of {done} builds equal to the undisturbed run")
    return 1 if wrong else 0


def _run_and_kill(child: int, out: Path, target: Target, batches: int) -> str | None:
    """What was killed when, of the first workers at work after `batches` commits; None where there was none. Raises RuntimeError where
    the run then failed."""
    killed = None
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if killed is None and (done := len(list(out.glob("stages/*/part-*.parquet")))) >= batches:
            worker = _kill_one_at_work(child, target)
            last = max(out.glob("stages/*"), key=lambda path: path.stat().st_mtime_ns, default=out)
            killed = f"pid {worker} after {done} batches, in {last.name}" if worker is not None else None
        time.sleep(0.005)
    ended(child, out)
    return killed


def _kill_one_at_work(parent: int, target: Target) -> int | None:
    """Kill a process below `parent` that is a target and uses a processor just now; its id."""
    for process in psutil.Process(parent).children(recursive=True):
        try:
            if process.status() == psutil.STATUS_RUNNING and target.is_one(" ".join(process.cmdline())):
                process.kill()
                return process.pid
        except psutil.Error:
            continue
    return None
