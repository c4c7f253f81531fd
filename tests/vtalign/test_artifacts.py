"""Run folders: who has one, and when it is free again."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vtalign.artifacts import claim_run_folder, hold_run_folder
from vtalign.errors import InputError

from ..children import child_environment

HOLD = """
import sys
from pathlib import Path
from vtalign.artifacts import hold_run_folder

with hold_run_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_claimed_folder_is_known_again(tmp_path: Path) -> None:
    assert not claim_run_folder(tmp_path / "run", {"a": 1}, "test")
    assert claim_run_folder(tmp_path / "run", {"a": 1}, "test")
    with pytest.raises(InputError, match=r"holds another run \(a: 1 there, 2 asked\)"):
        claim_run_folder(tmp_path / "run", {"a": 2}, "test")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.yaml"]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    claim_run_folder(tmp_path, {}, "test")
    before = (tmp_path / "run.yaml").read_bytes()
    environment = child_environment()
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        assert claim_run_folder(tmp_path, {}, "test")
        with pytest.raises(InputError, match="another process works in this folder") as error, hold_run_folder(tmp_path):
            pass
        assert "\n" not in str(error.value)
        other.kill()
    with hold_run_folder(tmp_path):
        pass
    with hold_run_folder(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"] and (tmp_path / "run.yaml").read_bytes() == before


def test_of_those_that_begin_together_one_has_the_folder(tmp_path: Path) -> None:
    count = 8
    for number in range(20):
        begin, asked = threading.Barrier(count), threading.Barrier(count)

        def work(folder: Path, begin: threading.Barrier = begin, asked: threading.Barrier = asked) -> tuple[bool, bool]:
            begin.wait(30)
            resuming = claim_run_folder(folder, {}, "test")
            try:
                with hold_run_folder(folder):
                    asked.wait(30)
                    return resuming, True
            except InputError:
                asked.wait(30)
                return resuming, False

        with ThreadPoolExecutor(count) as pool:
            found = list(pool.map(work, [tmp_path / str(number)] * count))
        assert sum(not resuming for resuming, _ in found) == 1 and sum(held for _, held in found) == 1


def test_a_folder_that_was_given_back_is_not_held(tmp_path: Path) -> None:
    claim_run_folder(tmp_path, {}, "test")
    (tmp_path / "run.yaml").unlink()
    with pytest.raises(InputError, match="another process"), hold_run_folder(tmp_path):
        pass
