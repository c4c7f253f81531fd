"""A build whose disk fills up: one line and exit code 1, and after space is made it goes on to the files of an undisturbed one."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faults_build import build_settings, write_inputs
from faults_files import build_files, differences

_PAGE = 4096  # bytes; what a tmpfs counts in


def fill_disks(folder: Path, times: int, draw: random.Random) -> int:
    """`times` builds, each on a disk with room for another share of its files. Returns the exit code; 0 where nothing can be
    mounted, which is said."""
    write_inputs(folder)
    plain = _build(folder, folder / "disk-0" / "run")
    if plain.returncode:
        raise RuntimeError(plain.stderr)
    whole = build_files(folder / "disk-0" / "run")
    whole.pop("report.html")  # it says how long the build took
    used = sum(-(-path.stat().st_size // _PAGE) * _PAGE for path in (folder / "disk-0").rglob("*") if path.is_file())
    print(f"undisturbed: {len(whole)} files, {used / 1e6:.2f} MB", flush=True)
    wrong = 0
    for number in range(1, times + 1):
        disk, room = folder / f"disk-{number}", int(used * draw.uniform(0.02, 0.95))
        try:
            with _small_disk(disk, 4 * used):
                said = _filled(folder, disk, room, whole)
        except PermissionError as error:
            print(f"skipped: no file system can be mounted here ({error})")
            return 0
        wrong += not said.startswith("one line")
        print(f"disk {number} with room for {room / 1e6:.2f} MB: {said}", flush=True)
    print(f"{times - wrong} of {times} disks equal to the undisturbed run")
    return 1 if wrong else 0


def _filled(folder: Path, disk: Path, room: int, whole: dict[str, bytes]) -> str:
    """Fill the disk up to `room` bytes, build, make space, build again; what is to be said of it."""
    filler, out = disk / "filler", disk / "run"
    filler.write_bytes(bytes(_free(disk) - room))
    full = _build(folder, out)
    lines = full.stderr.strip().splitlines()
    errors = [line for line in lines if line.startswith("vtalign: error: ")]
    if full.returncode != 1 or len(errors) != 1 or "disk is full" not in errors[0] or "Traceback" in full.stderr:
        return f"WRONG: exit {full.returncode}, {full.stderr[-1500:]}"
    reached = sorted(path.name for path in out.glob("stages/*"))
    filler.unlink()
    again = _build(folder, out)
    if again.returncode:
        return f"WRONG: exit {again.returncode} with space again: {again.stderr[-1500:]}"
    found = build_files(out)
    found.pop("report.html")
    differing = differences(found, whole)
    at = f"one line, exit 1, in {reached[-1] if reached else 'the start'}; went on to "
    return f"WRONG: {'; '.join(differing)}" if differing else f"{at}the files of the undisturbed run"


def _build(folder: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    out.parent.mkdir(exist_ok=True)
    config = folder / "config.json"
    # a frame cache makes do with what is left, and how much that is would decide where the disk is full
    config.write_text(json.dumps({**build_settings(folder, out), "frame_cache": "none"}))
    command = [sys.executable, "-m", "vtalign", "data", "build", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900)


@contextmanager
def _small_disk(disk: Path, size: int) -> Iterator[None]:
    """A tmpfs of `size` bytes. Raises PermissionError where this process may not mount."""
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], capture_output=True, text=True)
    if mounted.returncode:
        raise PermissionError(" ".join(mounted.stderr.split()))
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _free(disk: Path) -> int:
    return shutil.disk_usage(disk).free
