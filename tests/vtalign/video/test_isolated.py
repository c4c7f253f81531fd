"""Whatever happens to a decoder process costs one video."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vtalign.errors import InputError, VideoError
from vtalign.video.isolated import DecodeLimits, DecodeWorkers, FrameSet, Probed, ReadRequest
from vtalign.video.probe import VideoInfo, probe
from vtalign.video.readers import read_frames
from vtalign.video.sample import FramePolicy

from .numbered_clips import number_of, write_numbered

LIMITS = DecodeLimits(timeout_s=60)


@pytest.fixture(scope="module")
def endless(clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A right mp4 with a terabyte of nothing after it: hashing it would take half an hour."""
    path = tmp_path_factory.mktemp("endless") / "endless.mp4"
    path.write_bytes(clips["closed_gop.mp4"].read_bytes() + b"\x00\x00\x00\x00free")
    os.truncate(path, 1 << 40)
    return path


def test_the_same_as_in_process(workers: DecodeWorkers, clips: dict[str, Path]) -> None:
    for path in (clips["open_gop.mp4"], clips["vfr.mp4"]):
        assert workers.probe(path) == probe(path, LIMITS)
        assert (workers.read(path, [3, 40]) == read_frames(path, [3, 40], None, LIMITS)).all()
        assert workers.read(path, [3], FramePolicy(max_pixels=1024, multiple=16)).shape == (1, 32, 32, 3)
        assert workers.read(path, [3], (10, 20), "opencv").shape == (1, 20, 10, 3)
        assert workers.compare(path, "opencv", 60) == []


def test_many_at_once_stay_in_order(workers: DecodeWorkers, clips: dict[str, Path], tmp_path: Path) -> None:
    paths = [*clips.values(), tmp_path / "absent.mp4", *clips.values()]
    infos = list(workers.map_probe(paths))
    assert isinstance(infos[len(clips)], VideoError)
    assert [info.frames for info in infos if not isinstance(info, VideoError)] == [60] * 2 * len(clips)
    requests = [ReadRequest(path, [n]) for n, path in enumerate(clips.values())]
    assert [number_of(frames[0]) for frames in workers.map_read(requests) if isinstance(frames, np.ndarray)] == list(
        range(len(clips))
    )
    assert len(workers.pids) <= 2


def test_leaving_a_map_early_does_not_spoil_the_pool(clips: dict[str, Path]) -> None:
    with DecodeWorkers(2, LIMITS) as pool:
        for _ in pool.map_probe([clips["closed_gop.mp4"]] * 50):
            break
        assert pool.probe(clips["closed_gop.mp4"]).frames == 60


def test_mistakes_of_the_caller_are_not_the_videos(workers: DecodeWorkers, clips: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="unknown"):
        workers.read(clips["closed_gop.mp4"], [0], reader="vlc")
    with pytest.raises(ValueError, match="rising"):
        workers.read(clips["closed_gop.mp4"], [1, 0])


def test_a_file_that_takes_forever_is_given_up_and_the_next_one_read(endless: Path, clips: dict[str, Path]) -> None:
    with DecodeWorkers(1, DecodeLimits(timeout_s=1.5)) as pool:
        results = list(pool.map_probe([clips["closed_gop.mp4"], endless, clips["vfr.mp4"]]))
    assert [getattr(r, "reason", None) or r.frames for r in results] == [60, "timeout", 60]


@pytest.mark.parametrize("how", [signal.SIGABRT, signal.SIGSEGV])
def test_a_crash_costs_the_video_that_was_being_read(endless: Path, clips: dict[str, Path], how: signal.Signals) -> None:
    with DecodeWorkers(1, LIMITS) as pool:
        pool.probe(clips["closed_gop.mp4"])
        (first,) = pool.pids
        timer = threading.Timer(0.4, os.kill, (first, how))
        timer.start()
        results = list(pool.map_probe([endless, clips["closed_gop.mp4"]]))
        timer.join()
        assert isinstance(results[0], VideoError)
        assert (results[0].reason, results[0].path) == ("crashed", str(endless)) and how.name in results[0].detail
        assert not isinstance(results[1], VideoError) and results[1].frames == 60
        assert pool.pids and first not in pool.pids


@pytest.mark.skipif(sys.platform != "linux", reason="sees in /proc which file a process has open")
@pytest.mark.parametrize(("kills", "reason"), [(1, "timeout"), (2, "crashed")])
def test_what_somebody_kills_is_done_again_once(endless: Path, clips: dict[str, Path], kills: int, reason: str) -> None:
    """The second process is given the file too: it takes as long there, or is killed as well."""
    killed: list[int] = []

    def kill(pool: DecodeWorkers) -> None:
        while len(killed) < kills:
            time.sleep(0.02)
            for pid in set(pool.pids) - set(killed):
                if endless in {link.resolve() for link in Path(f"/proc/{pid}/fd").iterdir()}:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    with DecodeWorkers(1, DecodeLimits(timeout_s=3)) as pool:
        pool.probe(clips["closed_gop.mp4"])
        killer = threading.Thread(target=kill, args=(pool,))
        killer.start()
        with pytest.raises(VideoError) as raised:
            pool.probe(endless)
        killer.join()
        assert raised.value.reason == reason and len(set(killed)) == kills
        assert pool.probe(clips["closed_gop.mp4"]).frames == 60


def test_an_answer_that_was_not_waited_for_is_not_that_to_the_next_job(endless: Path, clips: dict[str, Path]) -> None:
    """Ctrl-C in a notebook, where the pool lives on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    with DecodeWorkers(1, DecodeLimits(timeout_s=5)) as pool:
        try:
            for first in (True, False):  # while the process starts, and while it works
                signal.setitimer(signal.ITIMER_REAL, 0.01 if first else 0.5)
                with pytest.raises(KeyboardInterrupt):
                    pool.probe(endless)
                assert number_of(pool.read(clips["closed_gop.mp4"], [7])[0]) == 7
        finally:
            signal.signal(signal.SIGALRM, before)


def test_a_map_may_be_left_by_whoever_holds_the_pool(endless: Path, clips: dict[str, Path]) -> None:
    """The garbage collector comes at any time, and in any thread."""
    with DecodeWorkers(1, DecodeLimits(timeout_s=10)) as pool:
        results = pool.map_probe([clips["closed_gop.mp4"], endless])
        next(results)
        _wait(lambda: bool(pool._busy))
        with pool._lock:
            results.close()
        assert pool.probe(clips["vfr.mp4"]).frames == 60


def test_a_map_that_is_left_while_it_plans_starts_no_more_work(endless: Path, clips: dict[str, Path]) -> None:
    planning, go_on = threading.Event(), threading.Event()

    def plan(info: VideoInfo) -> list[FrameSet]:
        if planning.is_set():
            go_on.wait(20)
        planning.set()
        return [FrameSet([0])]

    with DecodeWorkers(1, DecodeLimits(timeout_s=10)) as pool:
        results = pool.map_probe_reading([clips["closed_gop.mp4"], clips["vfr.mp4"]], plan)
        next(results)
        _wait(lambda: pool.passes["survey"] == 2)
        threading.Timer(0.5, go_on.set).start()
        results.close()
        pool.close()
        go_on.wait()
        time.sleep(0.5)
        assert pool.passes == {"survey": 2, "probe_reading": 1} and not pool.pids


def test_a_map_that_is_left_ends_its_own_work_only(endless: Path, clips: dict[str, Path]) -> None:
    with DecodeWorkers(2, DecodeLimits(timeout_s=3)) as pool, ThreadPoolExecutor(1) as threads:
        results = pool.map_probe([clips["closed_gop.mp4"], endless])
        next(results)
        other = threads.submit(pool.probe, endless)
        _wait(lambda: len(pool.pids) == 2)
        begun = time.monotonic()
        results.close()
        assert time.monotonic() - begun < 2, "its own endless file is not waited for"
        with pytest.raises(VideoError) as raised:
            other.result()
    assert raised.value.reason == "timeout", "the other one took as long as it was given"


def test_a_worker_that_dies_between_two_videos_costs_nothing(clips: dict[str, Path]) -> None:
    with DecodeWorkers(1, LIMITS) as pool:
        pool.probe(clips["closed_gop.mp4"])
        (pid,) = pool.pids
        os.kill(pid, signal.SIGKILL)
        _wait(lambda: not pool.pids)
        assert pool.probe(clips["closed_gop.mp4"]).frames == 60


@pytest.mark.skipif(sys.platform != "linux", reason="address space is bounded on Linux only")
def test_memory_is_bounded(tmp_path: Path, clips: dict[str, Path]) -> None:
    path = write_numbered(tmp_path / "large.avi", frames=3, codec="mjpeg", pixel_format="yuvj420p", size=(4096, 4096))
    with DecodeWorkers(1, DecodeLimits(max_memory_mb=512)) as pool:
        with pytest.raises(VideoError) as raised:
            pool.read(path, [0, 1, 2])
        assert raised.value.reason in ("too_large", "corrupt", "crashed")
        assert pool.probe(clips["closed_gop.mp4"]).frames == 60
    with DecodeWorkers(1, LIMITS) as pool:
        assert pool.read(path, [2], (64, 64)).shape == (1, 64, 64, 3)


def test_a_worker_that_has_grown_is_replaced_before_it_fails(tmp_path: Path, clips: dict[str, Path]) -> None:
    path = write_numbered(tmp_path / "large.avi", frames=7, codec="mjpeg", pixel_format="yuvj420p", size=(4096, 4096))
    with DecodeWorkers(1, DecodeLimits(max_memory_mb=1400)) as pool:
        pool.probe(clips["closed_gop.mp4"])
        (small,) = pool.pids
        pool.read(path, list(range(7)))
        assert pool.pids == []
        assert pool.probe(clips["closed_gop.mp4"]).frames == 60 and small not in pool.pids


def test_a_worker_of_a_large_process_is_not_taken_for_grown(clips: dict[str, Path]) -> None:
    model_in_memory = np.ones(800 * 1024**2, np.uint8)
    with DecodeWorkers(1, DecodeLimits(max_memory_mb=1400)) as pool:
        pool.probe(clips["closed_gop.mp4"])
        first = pool.pids
        pool.probe(clips["closed_gop.mp4"])
        assert first and pool.pids == first
    assert model_in_memory[-1] == 1


def test_paths_follow_the_caller_when_it_changes_folder(clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with DecodeWorkers(1, LIMITS) as pool:
        pool.probe(clips["closed_gop.mp4"])
        monkeypatch.chdir(clips["closed_gop.mp4"].parent)
        assert pool.probe("closed_gop.mp4").frames == 60
        with pytest.raises(VideoError) as raised:
            pool.probe("absent.mp4")
        assert raised.value.path == "absent.mp4"


def test_a_forked_child_has_processes_of_its_own(clips: dict[str, Path]) -> None:
    with DecodeWorkers(1, LIMITS) as pool:
        pool.probe(clips["closed_gop.mp4"])
        before = pool.pids
        child = os.fork()
        if child == 0:
            right = pool.probe(clips["vfr.mp4"]).frames == 60 and pool.pids != before
            pool.close()
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert pool.probe(clips["closed_gop.mp4"]).frames == 60 and pool.pids == before


def test_the_worker_imports_neither_torch_nor_transformers() -> None:
    heavy = ("torch", "transformers", "pyarrow", "datasets")
    code = f"import sys, vtalign.video.worker; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("way", ["script", "module"])
def test_the_parents_main_module_is_not_run_again(clips: dict[str, Path], tmp_path: Path, way: str) -> None:
    program = f"""\
        import sys
        print("main runs")
        from vtalign.video.isolated import DecodeWorkers
        with DecodeWorkers(1) as pool:  # unguarded on purpose
            print(pool.probe({str(clips["closed_gop.mp4"])!r}).frames)
        """
    (tmp_path / "launched").mkdir()
    (tmp_path / "launched" / "__main__.py").write_text(textwrap.dedent(program))
    command = [str(tmp_path / "launched" / "__main__.py")] if way == "script" else ["-m", "launched"]
    environment = _environment(str(tmp_path))
    done = subprocess.run([sys.executable, *command], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["main runs", "60"], done.stderr


def test_workers_end_with_a_killed_parent(endless: Path) -> None:
    code = f"""\
        import threading, time
        from vtalign.video.isolated import DecodeLimits, DecodeWorkers
        pool = DecodeWorkers(1, DecodeLimits(timeout_s=1))
        threading.Thread(target=pool.probe, args=({str(endless)!r},), daemon=True).start()
        while not pool.pids:
            time.sleep(0.05)
        time.sleep(0.5)
        print(pool.pids[0], flush=True)
        time.sleep(60)
        """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], env=_environment(), stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _wait(lambda: not _runs(worker), seconds=20)


def _environment(*folders: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*folders, str(Path(__file__).parents[3])])}


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _wait(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_passes_are_counted_by_kind(clips: dict[str, Path]) -> None:
    path = clips["closed_gop.mp4"]
    with DecodeWorkers(1, LIMITS) as pool:
        pool.probe(path)
        small, whole = pool.read_sets(path, [FrameSet([1, 4], (32, 16)), FrameSet([4])])
        assert small.shape == (2, 16, 32, 3) and (whole == pool.read(path, [4])).all()
        pool.compare(path, "opencv", 60)
        with pytest.raises(VideoError):
            pool.read(path, [99])
        assert pool.passes == {"probe": 1, "read": 3, "compare": 1} and pool.frames == 4
        assert pool.seconds.keys() == pool.passes.keys() and min(pool.seconds.values()) > 0


def test_one_pass_gives_what_a_probe_and_a_read_give(clips: dict[str, Path], tmp_path: Path) -> None:
    path, told = clips["open_gop.mp4"], []

    def plan(guess: VideoInfo) -> list[FrameSet]:
        told.append(guess)
        return [FrameSet([1, guess.frames - 1], (32, 16)), FrameSet([4])]

    with DecodeWorkers(1, LIMITS) as pool:
        info, sets, frames = pool.probe_reading(path, plan)
        assert told == [info] == [pool.probe(path)] and sets == plan(info)
        for found, right in zip(frames, pool.read_sets(path, sets), strict=True):
            assert (found == right).all()
        assert pool.passes == {"survey": 1, "probe_reading": 1, "probe": 1, "read": 1} and pool.frames == 6
        # whatever is wrong with the pass, a probe says what is wrong with the video
        for wanted in ([FrameSet([0, 60])], [FrameSet([0], (10**6, 10**6))], []):
            assert pool.probe_reading(path, lambda _, wanted=wanted: wanted) == (info, [], [])
        text = tmp_path / "text.mp4"
        text.write_text("no video")
        missing, broken, good = pool.map_probe_reading([tmp_path / "none.mp4", text, path], plan)
        assert [missing.reason, broken.reason, good.info] == ["missing", "not_a_video", info]


@pytest.mark.skipif(sys.platform != "linux", reason="sees in /proc which file a process has open")
def test_whoever_stops_waiting_for_one_pass_does_not_wait_for_a_probe(clips: dict[str, Path], endless: Path) -> None:
    good = clips["closed_gop.mp4"]
    with DecodeWorkers(1, DecodeLimits(timeout_s=30)) as pool:
        results = pool.map_probe_reading([good, endless, good, good], lambda _: [FrameSet([0])])
        first = next(results)
        assert isinstance(first, Probed) and first.info.frames == 60
        _wait(lambda: any(endless in {link.resolve() for link in Path(f"/proc/{pid}/fd").iterdir()} for pid in pool.pids))
        begun = time.monotonic()
        results.close()
        assert time.monotonic() - begun < 10 and pool.passes["probe"] == 0
        assert pool.probe(good).frames == 60
