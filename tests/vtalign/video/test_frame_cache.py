"""The frame cache survives kills and damage: an entry is whole or decoded again."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vtalign.errors import InputError
from vtalign.video.frame_cache import LEFT_FREE, FrameCache


def frames(*numbers: int) -> dict[int, np.ndarray]:
    return {n: np.full((4, 6, 3), n, np.uint8) for n in numbers}


def entry(folder: Path) -> Path:
    (path,) = folder.rglob("*.npz")
    return path


def test_kept_and_merged(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, "pyav", 1024, 16)
    assert cache.held("video-1") == set() and cache.get("video-1", [1]) == {}
    cache.add("video-1", frames(7, 2))
    cache.add("video-1", frames(5))
    assert cache.held("video-1") == {2, 5, 7}
    found = cache.get("video-1", [5, 7, 9])
    assert sorted(found) == [5, 7] and all((found[n] == n).all() for n in found)
    assert FrameCache(tmp_path, "opencv", 1024, 16).held("video-1") == set()
    assert FrameCache(tmp_path, "pyav", 2048, 16).held("video-1") == set()
    assert FrameCache(tmp_path, "pyav", 1024, 16, (32, 32)).held("video-1") == set()


@pytest.mark.parametrize("video_id", ["../../escape", "a/b", "..", "x" * 300, "ü"])
def test_any_id_stays_inside_the_folder(tmp_path: Path, video_id: str) -> None:
    cache = FrameCache(tmp_path / "cache", "pyav", 1024, 16)
    cache.add(video_id, frames(1))
    assert cache.held(video_id) == {1}
    assert entry(tmp_path).is_relative_to(tmp_path / "cache")


def test_frames_of_another_size_take_the_place_of_those_that_are_there(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, "pyav", 1024, 16)
    cache.add("video-1", frames(1, 2))
    cache.add("video-1", {3: np.zeros((6, 4, 3), np.uint8)})
    assert cache.held("video-1") == {3}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "encrypted"])
def test_a_damaged_entry_is_as_if_it_were_not_there(tmp_path: Path, damage: str) -> None:
    cache = FrameCache(tmp_path, "pyav", 1024, 16)
    cache.add("video-1", frames(1, 2))
    path = entry(tmp_path)
    data = bytearray(path.read_bytes())
    middle = data.rindex(bytes([2] * 60)) + 10  # inside the pixels of frame 2
    data[middle] ^= 255
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"PK\x01\x02") + 8] |= 1  # the flag of the first entry that says it is encrypted
    path.write_bytes({"cut": bytes(data[: len(data) // 2]), "flip": data, "empty": b"", "encrypted": whole}[damage])
    assert cache.get("video-1", [1, 2]) == {}
    cache.add("video-1", frames(1, 2))
    assert sorted(cache.get("video-1", [1, 2])) == [1, 2]


def test_a_writer_killed_at_any_moment_leaves_whole_entries(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np; from vtalign.video.frame_cache import FrameCache\n"
        "cache = FrameCache(Path(sys.argv[1]), 'pyav', 1024, 16); print('ready', flush=True); n = 0\n"
        "while True:\n"
        "    cache.add('video-1', {n % 40: np.full((64, 64, 3), n % 40, np.uint8)}); n += 1\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    for delay in (0.05, 0.11, 0.17):
        writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment, stdout=subprocess.PIPE)
        assert writer.stdout is not None and writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        cache = FrameCache(tmp_path, "pyav", 1024, 16)
        held = cache.held("video-1")
        found = cache.get("video-1", held)
        assert held and found.keys() == held and all((found[n] == n).all() for n in found)


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="frame cache"):
        FrameCache(tmp_path / "file" / "cache", "pyav", 1024, 16)


def test_a_disk_without_room_keeps_no_frames_and_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FrameCache(tmp_path, "pyav", 1024, 16)
    cache.add("video-1", frames(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # as a full disk does, in the middle of a write
    try:
        cache.add("video-2", frames(2))
        cache.add("video-3", frames(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert cache.held("video-1") == {1} and cache.held("video-2") == cache.held("video-3") == set()
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npz"]
    [said] = caplog.messages
    assert "decoded again (File too large)" in said


def test_room_is_left_for_results(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    free = shutil.disk_usage(tmp_path).free
    huge = np.broadcast_to(np.zeros(1, np.uint8), (free // 3 - LEFT_FREE // 6, 1, 3))  # half of what has to be left would be left
    FrameCache(tmp_path, "pyav", 1024, 16).add("video-1", {0: huge})
    assert FrameCache(tmp_path, "pyav", 1024, 16).held("video-1") == set()
    assert "less than 1 GiB would be left on the disk" in caplog.messages[0]
