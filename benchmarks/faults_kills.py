"""Kill a run with SIGKILL at random moments, run it again until it is done, and hold its files against an undisturbed run's.

Half of the moments are drawn by the clock, over the whole length of an undisturbed run (loading, answering, writing); the others
fall on the n-th step of a write: before its bytes are synced, with a torn tail, before or after a file takes its name. Each kill is
printed with how far the run was. A round is one output folder, killed until an attempt gets through; then every file in it must
have the bytes of the undisturbed run (all but clocks and counts of decodes).

Every attempt is a fork of one process that has done its imports and started no thread: a fresh interpreter would spend most of its
life importing torch. POSIX only.
"""

import contextlib
import functools
import itertools
import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults_files import Subject, differences

_TORN = 40  # bytes: less than a line of predictions.jsonl, so that rows which were synced stay whole


@dataclass(frozen=True)
class Moment:
    """When an attempt is killed: `at` seconds after its start (kind `clock`), or at its write step number `at`."""

    kind: str
    at: float

    def __str__(self) -> str:
        return f"at {self.at:.2f} s" if self.kind == "clock" else f"{self.kind} write step {self.at:.0f}"


@dataclass(frozen=True)
class Undisturbed:
    """What an attempt that nobody kills takes and leaves."""

    seconds: float
    steps: int
    files: dict[str, bytes]


def kill_and_compare(subject: Subject, folder: Path, kills: int, draw: random.Random) -> int:
    """`kills` kills in as many rounds as it takes. Returns the exit code."""
    whole = undisturbed(subject, folder)
    print(f"undisturbed: {whole.seconds:.1f} s, {whole.steps} write steps, {len(whole.files)} files", flush=True)
    started, done, rounds, wrong = time.monotonic(), 0, 0, 0
    while done < kills:
        rounds += 1
        out = folder / f"round-{rounds}"
        while not attempt(subject, out, moment := draw_moment(draw, whole) if done < kills else None):
            done += 1
            print(f"kill {done:3d}: round {rounds}, {moment}: {subject.progress(out)}", flush=True)
        differing = differences(subject.files(out), whole.files)
        wrong += bool(differing)
        print(f"round {rounds}: {'; '.join(differing) or 'equal to the undisturbed run'}", flush=True)
    spent = time.monotonic() - started
    print(f"{done} kills in {rounds} rounds, {spent:.0f} s: {rounds - wrong} of {rounds} rounds equal to the undisturbed run")
    return 1 if wrong else 0


def undisturbed(subject: Subject, folder: Path) -> Undisturbed:
    out, log = folder / "undisturbed", folder / "steps.txt"
    started = time.monotonic()
    attempt(subject, out, None, log)
    return Undisturbed(time.monotonic() - started, int(log.read_text()), subject.files(out))


def draw_moment(draw: random.Random, whole: Undisturbed) -> Moment:
    if draw.random() < 0.5:
        return Moment("clock", draw.uniform(0, whole.seconds))
    return Moment(draw.choice(("before", "torn", "torn", "after")), draw.randint(1, whole.steps))


def attempt(subject: Subject, out: Path, moment: Moment | None, steps_log: Path | None = None) -> bool:
    """Run in a fork, killed at `moment`. Whether it got through first. `steps_log` gets the number of its write steps.

    Raises RuntimeError where the run failed by itself.
    """
    child = start(subject, out, moment, steps_log)
    if moment is not None and moment.kind == "clock":
        deadline = time.monotonic() + moment.at
        while time.monotonic() < deadline and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)  # until it is reaped, a child that has ended keeps its number
    return ended(child, out)


def start(subject: Subject, out: Path, moment: Moment | None = None, steps_log: Path | None = None) -> int:
    """The process id of an attempt in a fork."""
    child = os.fork()
    if child == 0:
        _child(subject, out, moment, steps_log)
    return child


def ended(child: int, out: Path) -> bool:
    """Wait for an attempt; False where it was killed. Raises RuntimeError where it failed by itself."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the run failed by itself (exit code {code}) in {out}; its traceback is above")
    return code == 0


def _child(subject: Subject, out: Path, moment: Moment | None, steps_log: Path | None) -> None:
    """Never returns."""
    try:
        steps = _counted_writes(moment)
        subject.run(out)
        if steps_log is not None:
            steps_log.write_text(str(next(steps) - 1))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _counted_writes(moment: Moment | None) -> Iterator[int]:
    """Count the syncs and renames of this process from 1 on, and die at the one that `moment` names. Returns the counter."""
    steps = itertools.count(1)
    kind, at = ("none", 0.0) if moment is None or moment.kind == "clock" else (moment.kind, moment.at)

    def counted(call: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(call)
        def step(*given: Any) -> None:
            here = next(steps) == at
            if here and kind == "torn":
                with contextlib.suppress(OSError):  # folders are synced and renamed too, and have no tail
                    os.truncate(given[0], max(0, os.stat(given[0]).st_size - _TORN))
            if here and kind != "after":
                os.kill(os.getpid(), signal.SIGKILL)
            call(*given)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)

        return step

    os.fsync, os.replace, os.rename = counted(os.fsync), counted(os.replace), counted(os.rename)
    return steps
