import os
from pathlib import Path

from vtalign.video.isolated import DecodeWorkers
from vtalign.video.sample import FramePolicy
from vtalign_eval.views import hash_of_all, show, video_hashes


def test_hashes_follow_content_and_none_stands_for_what_cannot_be_read(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.mp4").write_bytes(b"a")
    (tmp_path / "secret").write_bytes(b"s")
    os.symlink(tmp_path / "secret", tmp_path / "inside" / "link.mp4")
    hashes = video_hashes(tmp_path / "inside", ["link.mp4", "a.mp4", "b.mp4"])
    assert hashes["a.mp4"] and hashes["link.mp4"] is None and hashes["b.mp4"] is None
    assert hash_of_all(hashes) == hash_of_all(dict(reversed(hashes.items())))
    (tmp_path / "inside" / "a.mp4").write_bytes(b"other")
    assert hash_of_all(video_hashes(tmp_path / "inside", hashes)) != hash_of_all(hashes)


def test_videos_become_views_or_failures(shapes: Path) -> None:
    videos = ["videos/f0-a.mp4", "videos/f9.mp4", "videos/f1-a.mp4"]
    done: list[int] = []
    with DecodeWorkers(1) as workers:
        shown = show(shapes, videos, FramePolicy(fps=4, multiple=16), "none", 0, workers, done.append)
    assert sorted(shown.views) == ["videos/f0-a.mp4", "videos/f1-a.mp4"]
    assert [len(view or ()) for view in shown.views.values()] == [4, 8]
    assert shown.failures["videos/f9.mp4"].reason == "missing"
    assert sorted(shown.paths.values()) == sorted(shown.views) and sum(done) == 3


def test_a_control_that_cannot_change_a_video_leaves_it_and_says_so(shapes: Path) -> None:
    with DecodeWorkers(1) as workers:
        policy = FramePolicy(count=1, multiple=16)
        shown = show(shapes, ["videos/f0-a.mp4"], policy, "shuffled", 0, workers, lambda _: None)
    assert shown.unchanged == ["videos/f0-a.mp4"] and len(shown.views["videos/f0-a.mp4"] or ()) == 1


def test_without_video_nothing_is_read() -> None:
    with DecodeWorkers(1) as workers:
        shown = show(Path("nowhere"), ["a.mp4"], FramePolicy(), "text", 0, workers, lambda _: None)
        assert shown.views == {"a.mp4": None} and not shown.failures and not workers.pids
