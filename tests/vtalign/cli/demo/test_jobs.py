"""Jobs run real vtalign processes; one that fails is named with its log, and stops the rest."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from vtalign.cli.demo.jobs import Command, Job, run_jobs
from vtalign.errors import RunFailed

_RUN_A_LONG_JOB = """
import sys
from pathlib import Path
from vtalign.cli.demo.jobs import Command, Job, run_jobs
folder = Path(sys.argv[1])
arguments = ("data", "synth", str(folder / "corpus"), "--videos", "4000")
run_jobs([Job("long", (Command(arguments, "videos", folder, 1),), folder / "long.log")], at_a_time=1)
"""


def job(name: str, folder: Path, *arguments: str) -> Job:
    return Job(name, (Command(arguments, "steps", folder / "none", 1),), folder / "logs" / f"{name}.log")


def test_commands_run_and_their_output_is_kept(tmp_path: Path) -> None:
    run_jobs([job("a", tmp_path, "--version"), job("b", tmp_path, "--help")], at_a_time=2)
    assert (tmp_path / "logs/a.log").read_text().startswith("vtalign ")
    assert "demo" in (tmp_path / "logs/b.log").read_text()


def test_a_failing_command_is_named_with_its_last_line_and_its_log(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"bad: `vtalign train` ended with 2: .*no-such\.yaml.*bad\.log"):
        run_jobs([job("bad", tmp_path, "train", "no-such.yaml"), job("never", tmp_path, "--version")], at_a_time=1)
    assert not (tmp_path / "logs/never.log").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_what_a_killed_demo_started_dies_with_it(tmp_path: Path) -> None:
    """The child writes a large corpus; after a SIGKILL of its parent it writes no more."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _RUN_A_LONG_JOB,
            str(tmp_path),
        ]
    )
    videos = tmp_path / "corpus" / "train" / "videos"
    deadline = time.monotonic() + 60
    while not (videos.is_dir() and len(list(videos.iterdir())) > 3):
        assert time.monotonic() < deadline, "the child never started to write"
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    time.sleep(0.5)
    before = len(list(videos.iterdir()))
    time.sleep(1.0)
    assert len(list(videos.iterdir())) == before
