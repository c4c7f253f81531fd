"""25 recorded SIGKILLs each in `eval run` (with controls) and `eval score`: what goes on gives the undisturbed bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", ["eval", "score"])
def test_killed_25_times_it_leaves_the_bytes_of_an_undisturbed_run(project_root: Path, command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    arguments = [sys.executable, project_root / "benchmarks" / "faults.py", command, "--kills", "25", "--seed", "0"]
    ended = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=850, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    kills = [line for line in ended.stdout.splitlines() if line.startswith("kill ")]
    assert len(kills) == 25
    # the moments are what they claim to be: some by the clock, some inside writes
    assert any(" s: " in line for line in kills) and any("torn write step" in line for line in kills)
    if command == "eval":
        replies = {line.split(": ")[2].split()[0] for line in kills}
        assert "0" in replies and len(replies) > 3, "kills while it loads and in the middle of answering"


def test_a_difference_is_found(project_root: Path) -> None:
    """The comparison itself: a file that differs, one that is missing and one that was left over are all named."""
    code = "import faults; print(faults.differences({'a': b'1', 'c': b''}, {'a': b'2', 'b': b''}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project_root / "benchmarks"), *filter(None, sys.path)])}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "['b is missing', 'c is left over', 'a differs']"
