"""Run vtalign commands as processes of one thread each, several at a time, with one progress bar per job."""

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vtalign.commands import command_line, die_with_parent, last_line
from vtalign.errors import RunFailed


@dataclass(frozen=True)
class Command:
    """One `vtalign` command: its arguments, and where it shows how far it is: lines of a file, or folders in a folder."""

    arguments: tuple[str, ...]
    unit: str
    progress: Path
    total: int


@dataclass(frozen=True)
class Job:
    """Commands that run one after another; `log` takes what they print."""

    name: str
    commands: tuple[Command, ...]
    log: Path


def run_jobs(jobs: Sequence[Job], *, at_a_time: int) -> None:
    """Run all jobs. Raises RunFailed with the last line of the log of the first job that fails, after the others were stopped."""
    columns = (
        TextColumn("{task.description:<40}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
    )
    running: dict[str, subprocess.Popen[bytes]] = {}
    stopped = threading.Event()
    with Progress(*columns, refresh_per_second=2) as progress, ThreadPoolExecutor(at_a_time) as pool:
        futures = {pool.submit(_run_job, job, progress, running, stopped) for job in jobs}
        try:
            _wait_for(futures)
        except BaseException:
            stopped.set()
            for process in list(running.values()):
                process.terminate()
            raise


def _wait_for(futures: set[Future[None]]) -> None:
    while futures:
        done, futures = wait(futures, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()


def _run_job(job: Job, progress: Progress, running: dict[str, subprocess.Popen[bytes]], stopped: threading.Event) -> None:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    # One thread a process: on models this small two threads in one process gain less than two processes, and sums keep their order.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for command in job.commands:
        if stopped.is_set():
            return
        task = progress.add_task(f"{job.name}: {command.arguments[0]}", total=command.total, unit=command.unit)
        with job.log.open("ab") as log:
            process = subprocess.Popen(
                command_line(*command.arguments),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                preexec_fn=die_with_parent,
            )
        running[job.name] = process
        while process.poll() is None:
            progress.update(task, completed=min(command.total, _done(command.progress)))
            time.sleep(0.5)
        del running[job.name]
        if process.returncode:
            stopped.set()
            raise RunFailed(
                f"{job.name}: `vtalign {command.arguments[0]}` ended with {process.returncode}: {last_line(job.log)} (see {job.log})"
            )
        progress.update(task, completed=command.total)


def _done(path: Path) -> int:
    if path.is_dir():
        return sum(entry.is_dir() for entry in path.iterdir())
    return path.read_bytes().count(b"\n") if path.is_file() else 0
