import os
import shutil
from pathlib import Path

from vtalign.errors import VideoError
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.probe_cache import ProbeCache, probe_all


def test_known_videos_cost_no_pass_until_they_change(clips: dict[str, Path], workers: DecodeWorkers, tmp_path: Path) -> None:
    videos = [Path(shutil.copy(clips[name], tmp_path / name)) for name in ("closed_gop.mp4", "hevc.mp4")]
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    asked = [videos[0], broken, videos[1]]
    cache = ProbeCache(tmp_path / "cache")
    before = workers.passes["probe"]
    first = list(probe_all(asked, workers, cache))
    assert [isinstance(info, VideoError) for info in first] == [False, True, False]
    assert first[0] == workers.probe(videos[0]) and workers.passes["probe"] == before + 4
    again = list(probe_all(asked, workers, ProbeCache(tmp_path / "cache")))
    assert (again[0], again[2]) == (first[0], first[2]) and isinstance(again[1], VideoError)
    assert workers.passes["probe"] == before + 5, "a failure is tried again"
    assert list(probe_all(videos, workers, None)) == [first[0], first[2]] and workers.passes["probe"] == before + 7
    shutil.copy(videos[1], videos[0])
    os.utime(videos[0], ns=(0, 0))
    assert cache.get(videos[0]) is None
    assert list(probe_all(videos, workers, cache)) == [first[2], first[2]]


def test_what_cannot_be_remembered_is_not(clips: dict[str, Path], workers: DecodeWorkers, tmp_path: Path) -> None:
    video, info = clips["hevc.mp4"], workers.probe(clips["hevc.mp4"])
    (tmp_path / "file").touch()
    ProbeCache(tmp_path / "file").put(video, info)
    cache = ProbeCache(tmp_path / "cache")
    cache.put(tmp_path / "gone.mp4", info)
    cache.put(video, info)
    [entry] = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert cache.get(video) == info and cache.get(tmp_path / "gone.mp4") is None
    entry.write_text(entry.read_text()[:50])  # torn by a power cut
    assert cache.get(video) is None
