import importlib
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vtalign.errors import InputError, RunFailed
from vtalign_data.runners.local import LocalRunner
from vtalign_data.runners.task import TOOLS, task
from vtalign_data.runners.tools import WorkTools
from vtalign_data.runners.worker import Worker, WorkerSetup
from vtalign_data.stage import Stage

from ...children import child_environment, heed_ctrl_c

SCHEMA = pa.schema([("id", pa.string()), ("square", pa.int64())])
ITEMS = list(range(25))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The toy work, under a name that other processes can import too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("toy")


@pytest.fixture
def squares(toy: ModuleType, toy_setup: WorkerSetup, toy_tools: WorkTools, tmp_path: Path):
    def run(name: str, workers: int, setup: WorkerSetup = toy_setup) -> dict[str, bytes]:
        """The files of a stage that so many local workers made."""
        runner = LocalRunner(toy_tools, lambda: setup, ["cpu"] * workers)
        stage = Stage(tmp_path / name, SCHEMA, "number")
        stage.run(ITEMS, str, task(toy.square, TOOLS, tmp_path), batch_size=2, runner=runner)
        return {path.name: path.read_bytes() for path in sorted(stage.folder.iterdir())}

    return run


def test_a_single_worker_is_this_process(squares, toy_setup: WorkerSetup, tmp_path: Path) -> None:
    files = squares("here", 1)
    rows = [row for part in sorted((tmp_path / "here").glob("part-*")) for row in pq.read_table(part).to_pylist()]
    assert rows == [{"id": str(number), "square": number**2} for number in ITEMS if number % 7 != 6]
    assert len(files["rejected.jsonl"].splitlines()) == 3
    (tmp_path / "9.error").touch()
    with pytest.raises(InputError, match=r"^9 cannot be squared$"):
        squares("error", 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_any_number_of_workers_gives_the_same_rows_though_one_dies(squares, tmp_path: Path) -> None:
    alone = squares("1", 1)
    for workers, dies_at in ((2, 9), (3, 24), (4, 0)):
        (tmp_path / str(dies_at)).touch()
        assert squares(str(workers), workers) == alone
        assert not (tmp_path / str(dies_at)).exists(), "the accident happened"


@pytest.mark.slow
def test_a_batch_that_always_kills_ends_the_run_and_the_rest_is_kept(squares, tmp_path: Path) -> None:
    (tmp_path / "9.always").touch()
    with pytest.raises(RunFailed, match="batch 4: its worker died 3 times"):
        squares("killed", 2)
    (tmp_path / "9.always").unlink()
    assert (tmp_path / "killed" / "part-00000.parquet").is_file()
    assert squares("killed", 1) == squares("alone", 1)


@pytest.mark.slow
def test_an_error_of_a_worker_is_the_error_of_the_run(squares, tmp_path: Path) -> None:
    (tmp_path / "9.error").touch()
    with pytest.raises(InputError, match=r"^9 cannot be squared$"):
        squares("error", 2)


def test_a_worker_with_other_versions_does_nothing(toy: ModuleType, toy_setup: WorkerSetup, tmp_path: Path) -> None:
    older = replace(toy_setup, versions={**toy_setup.versions, "av": "1.0"})
    with pytest.raises(InputError, match=r"^the worker on b has av .*, the machine that runs the build 1\.0: install the same"):
        Worker(older, task(toy.square, TOOLS, tmp_path), "the worker on b")([1])
    assert Worker(toy_setup, task(toy.square, TOOLS, tmp_path), "the worker on b")([3]).rows == [{"id": "3", "square": 9}]


DRIVER = """
import sys, time
from pathlib import Path
import toy_slow
from vtalign.video.sample import FramePolicy
from vtalign_data.config import BuildConfig
from vtalign_data.run_model import ModelFacts
from vtalign_data.runners.local import run_in_processes
from vtalign_data.runners.task import TOOLS, task
from vtalign_data.runners.worker import Worker, WorkerSetup
from vtalign_data.versions import run_versions

config = BuildConfig(videos=".", model="none", out="out", device="cpu")
setup = WorkerSetup(config, ModelFacts("f", FramePolicy(), ()), 1, run_versions())
if __name__ == "__main__":
    list(run_in_processes(task(toy_slow.wait, Path(sys.argv[1])), enumerate([[1], [2]]), setup, ["cpu", "cpu"]))
"""
WAIT = """
import os, time

def wait(batch, folder):
    (folder / f"began-{os.getpid()}").touch()
    time.sleep(300)
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_runs_the_build(tmp_path: Path, end: signal.Signals) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "toy_slow.py").write_text(WAIT)
    environment = child_environment()
    driver = subprocess.Popen(
        [sys.executable, "driver.py", str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )
    deadline = time.monotonic() + 90
    while len(list(tmp_path.glob("began-*"))) < 2:
        assert time.monotonic() < deadline and driver.poll() is None
        time.sleep(0.1)
    workers = [psutil.Process(int(path.name.removeprefix("began-"))) for path in tmp_path.glob("began-*")]
    driver.send_signal(end)
    driver.communicate(timeout=30)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
