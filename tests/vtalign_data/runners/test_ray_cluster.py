"""Real Ray clusters build the small corpus: one of the build's own, and one that was started beside it."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from vtalign.errors import InputError
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.runners.ray_cluster import _in_short
from vtalign_data.summary import BuildSummary

from ...children import child_environment
from ..run_files import files_of


def kill_one_worker(parent: psutil.Process, killed: list[str], stop: threading.Event) -> None:
    """SIGKILL to the first worker of Ray Data under `parent` that is at work."""
    while not stop.wait(0.1):
        for process in parent.children(recursive=True):
            try:
                title = " ".join(process.cmdline())
                if title.startswith("ray::MapWorker") and "submit" in title:
                    process.kill()
                    killed.append(title)
                    return
            except psutil.Error:
                continue


@pytest.fixture
def environment() -> dict[str, str]:
    return {
        **child_environment(),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
    }


@pytest.fixture
def cluster(environment: dict[str, str]) -> Iterator[str]:
    """The address of a cluster with two CPUs, of a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
    arguments = ["start", "--head", "--block", "--num-cpus=2", f"--port={port}", "--include-dashboard=false"]
    head = subprocess.Popen([sys.executable, "-c", start, *arguments], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < deadline and head.poll() is None
            time.sleep(0.2)
    yield f"127.0.0.1:{port}"
    under = psutil.Process(head.pid).children(recursive=True)
    head.terminate()
    head.wait(60)
    for process in psutil.wait_procs(under, timeout=20)[1]:
        process.kill()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_cluster_of_its_own_gives_the_same_files_though_a_worker_dies(
    built: BuildSummary, make_config: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    killed: list[str] = []
    stop = threading.Event()
    killer = threading.Thread(target=kill_one_worker, args=(psutil.Process(), killed, stop))
    killer.start()
    try:
        run_build(make_config(tmp_path / "run", runner={"kind": "ray"}))
    finally:
        stop.set()
        killer.join()
    assert killed
    assert files_of(tmp_path / "run") == files_of(built.out)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_cluster_that_is_joined_and_a_build_that_is_killed(
    built: BuildSummary, make_config: Callable[..., BuildConfig], environment: dict[str, str], cluster: str, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    config.write_text(make_config(tmp_path / "run").model_dump_json())
    command = [sys.executable, "-m", "vtalign", "data", "build", str(config), "--runner", "ray", "--ray-address", cluster]
    first = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 600
    while not (tmp_path / "run" / "stages" / "06-captions" / "part-00000.parquet").is_file():
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "run") == files_of(built.out)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["pairs"] == built.pairs
    assert "raylet" not in done.stderr and "10-score" in done.stderr


def test_no_cluster_at_the_address_is_one_line_and_leaves_nothing_behind(
    make_config: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    with socket.socket() as taken:  # bound, but it does not listen
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=f"runner.address={address}: no Ray cluster answers there") as raised:
            run_build(make_config(tmp_path / "run", runner={"kind": "ray", "address": address}))
    assert "\n" not in str(raised.value) and not (tmp_path / "run").exists()


def test_a_device_that_a_worker_cannot_choose(make_config: Callable[..., BuildConfig], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device=cuda:1: on a Ray cluster every worker gets a GPU of its own"):
        run_build(make_config(tmp_path / "run", device="cuda:1", runner={"kind": "ray"}))


def test_what_ray_says_becomes_one_line_with_the_cause() -> None:
    died = """The actor died because of an error raised in its creation task, \x1b[36mray::MapWorker(pid=7)\x1b[39m
  File "worker.py", line 67, in __init__
    setup, task = ray.get(reference)
ModuleNotFoundError: No module named 'my_plugin'
"""
    assert _in_short(RuntimeError(died)) == "ModuleNotFoundError: No module named 'my_plugin'"
    assert _in_short(RuntimeError("\n \x1b[36mnode\x1b[39m is gone\nmore of it")) == "node is gone"
    assert _in_short(RuntimeError()) == "RuntimeError"
