"""The store shows what a view says: right frames in any order, each file read once, failures kept to their video."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vtalign.errors import InputError, VideoError
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeLimits, DecodeWorkers, FrameSet
from vtalign.video.sample import FramePolicy, sample
from vtalign.video.transforms import apply_transform
from vtalign.video.view import FrameTransform, Slot, VideoView

from .conftest import KINDS
from .numbered_clips import HEIGHT, WIDTH, number_of, write_numbered

POLICY = FramePolicy(fps=5, max_pixels=WIDTH * HEIGHT, multiple=16)

Corpus = Callable[..., FrameStore]


@pytest.fixture
def corpus(clips: dict[str, Path], workers: DecodeWorkers, tmp_path: Path) -> Corpus:
    """Makes stores over a private copy of some clips; video ids are file names."""
    root = tmp_path / "corpus"
    root.mkdir()

    def make(*names: str, **options: object) -> FrameStore:
        for name in names:
            if name in clips:
                (root / name).write_bytes(clips[name].read_bytes())
        settings = {"workers": workers, **options}
        return FrameStore(root, {name: name for name in names}, POLICY, **settings)  # type: ignore[arg-type]

    return make


def view_of(name: str, numbers: list[int | None]) -> VideoView:
    return VideoView(tuple(Slot(name, number, i / 5) for i, number in enumerate(numbers)), 5.0)


def shown(store: FrameStore, view: VideoView) -> list[int]:
    return [number_of(frame) for frame in store.frames(view)]


@pytest.mark.parametrize("reader", ["pyav", "opencv"])
@pytest.mark.parametrize("kind", KINDS)
def test_uniform_shuffled_and_reversed_views_show_the_right_frames(
    corpus: Corpus, workers: DecodeWorkers, kind: str, reader: str
) -> None:
    store = corpus(kind, reader=reader)
    info = workers.probe(store.root / kind)
    clean = sample(replace(info, video_id=kind), POLICY)
    uniform = [slot.frame for slot in clean.slots]
    order = list(range(len(clean)))
    random.Random(0).shuffle(order)
    assert shown(store, clean) == uniform
    # With fresh stores, so that each order is also the first one asked for.
    assert shown(corpus(kind, reader=reader), clean.with_contents(order)) == [uniform[i] for i in order]
    assert shown(corpus(kind, reader=reader), clean.with_contents(order[::-1])) == [uniform[i] for i in order[::-1]]
    assert shown(corpus(kind, reader=reader), clean.with_contents([*range(len(clean))][::-1])) == uniform[::-1]


def test_all_views_of_a_video_are_read_at_once(corpus: Corpus) -> None:
    store = corpus("open_gop.mp4", "hevc.mp4")
    views = [view_of("open_gop.mp4", [5, 1, 30]), view_of("open_gop.mp4", [59, 2, 1]), view_of("hevc.mp4", [7, 7, 3])]
    assert store.prefetch(iter(views)) == {}
    for name in ("open_gop.mp4", "hevc.mp4"):
        (store.root / name).unlink()  # whatever is shown from here on was read above
    assert [shown(store, view) for view in views] == [[5, 1, 30], [59, 2, 1], [7, 7, 3]]


def test_blanks_are_black_and_a_view_of_blanks_has_the_videos_size(corpus: Corpus) -> None:
    store = corpus("closed_gop.mp4")
    frames = store.frames(view_of("closed_gop.mp4", [9, None, 11]))
    assert number_of(frames[0]) == 9 and number_of(frames[2]) == 11 and not frames[1].any()
    blank = store.frames(view_of("closed_gop.mp4", [None, None]))
    assert blank.shape == (2, HEIGHT, WIDTH, 3) and not blank.any()
    fresh = corpus("closed_gop.mp4")
    assert fresh.prefetch([view_of("closed_gop.mp4", [None, None]), view_of("closed_gop.mp4", [4, 5])]) == {}
    (fresh.root / "closed_gop.mp4").unlink()
    assert fresh.frames(view_of("closed_gop.mp4", [None, None])).shape == (2, HEIGHT, WIDTH, 3)


def test_a_view_of_two_videos_has_one_size(corpus: Corpus, tmp_path: Path) -> None:
    write_numbered(tmp_path / "corpus" / "small.mp4", 10, size=(64, 48))
    store = corpus("closed_gop.mp4", "small.mp4")
    view = VideoView((Slot("closed_gop.mp4", 40, 0.0), Slot("small.mp4", 3, 0.2)), 5.0)
    assert store.frames(view).shape == (2, HEIGHT, WIDTH, 3)
    assert store.frames(view.with_contents([1, 0])).shape == (2, 48, 64, 3)
    # what most slots show decides, so that an inserted part does not change the size of the rest
    longer = VideoView((view.slots[1], *view_of("closed_gop.mp4", [40, 41]).slots), 5.0)
    assert store.frames(longer).shape == (3, HEIGHT, WIDTH, 3)


def test_transforms_are_applied_after_decoding(corpus: Corpus) -> None:
    store, noise = corpus("closed_gop.mp4"), FrameTransform("noise", 3)
    plain = view_of("closed_gop.mp4", [5, 6])
    changed = VideoView((replace(plain.slots[0], transform=noise), plain.slots[1]), 5.0)
    before, after = store.frames(plain), store.frames(changed)
    assert (after[0] == apply_transform(before[0], noise)).all() and (after[0] != before[0]).any()
    assert (after[1] == before[1]).all()
    assert (store.frames(plain) == before).all()  # the kept frames are not touched


def test_memory_is_bounded_and_what_is_dropped_is_read_again(corpus: Corpus) -> None:
    store = corpus("closed_gop.mp4", "open_gop.mp4", "hevc.mp4", memory_mb=1)
    everything = list(range(50))  # 0.9 MB a video
    for name in ("closed_gop.mp4", "open_gop.mp4", "hevc.mp4", "closed_gop.mp4"):
        assert shown(store, view_of(name, everything[::-1])) == everything[::-1]
        assert store.held_bytes <= 1024**2
    assert store.prefetch([view_of(name, everything) for name in ("open_gop.mp4", "hevc.mp4")]) == {}
    assert 0 < store.held_bytes <= 1024**2


def test_a_view_larger_than_the_memory_is_still_shown(corpus: Corpus) -> None:
    store = corpus("closed_gop.mp4", memory_mb=1)
    numbers = list(range(60)) * 2
    assert shown(store, view_of("closed_gop.mp4", numbers)) == numbers


def test_the_disk_cache_replaces_the_file(corpus: Corpus, tmp_path: Path) -> None:
    first = corpus("open_gop.mp4", cache=tmp_path / "cache")
    assert shown(first, view_of("open_gop.mp4", [5, 9])) == [5, 9]
    assert shown(first, view_of("open_gop.mp4", [8, 5])) == [8, 5]
    (first.root / "open_gop.mp4").unlink()
    second = corpus(cache=tmp_path / "cache")
    assert second.prefetch([view_of("open_gop.mp4", [9, 8, 5])]) == {}
    assert shown(second, view_of("open_gop.mp4", [9, 8, 5])) == [9, 8, 5]


@pytest.mark.parametrize("cached", [False, True])
def test_a_pass_takes_along_what_views_will_show(corpus: Corpus, workers: DecodeWorkers, cached: bool, tmp_path: Path) -> None:
    store = corpus("open_gop.mp4", shown={"open_gop.mp4": [0, 5, 9, 40]}, cache=tmp_path / "cache" if cached else None)
    before = workers.passes["read"]
    assert shown(store, view_of("open_gop.mp4", [5])) == [5]
    assert store.prefetch([view_of("open_gop.mp4", [9, 5])]) == {}
    assert shown(store, view_of("open_gop.mp4", [40, 0, 9])) == [40, 0, 9]
    assert workers.passes["read"] == before + 1
    assert shown(store, view_of("open_gop.mp4", [7])) == [7], "what nobody announced is read when it is asked for"
    assert workers.passes["read"] == before + 2


def test_frames_read_beside_are_kept_when_asked_to(corpus: Corpus, workers: DecodeWorkers, tmp_path: Path) -> None:
    announced = {name: [5, 9] for name in ("open_gop.mp4", "hevc.mp4", "gone.mp4")}
    store = corpus("open_gop.mp4", "hevc.mp4", "gone.mp4", shown=announced, cache=tmp_path / "cache")
    before = workers.passes["read"]
    kept, gone, dropped = store.read_beside(
        (name, FrameSet([1, 5], (32, 16))) for name in ("open_gop.mp4", "gone.mp4", "hevc.mp4")
    )
    assert isinstance(gone, VideoError) and gone.reason == "missing"
    assert not isinstance(kept, VideoError) and not isinstance(dropped, VideoError)
    assert kept.frames.shape == (2, 16, 32, 3) and sorted(kept.of_views) == sorted(dropped.of_views) == [5, 9]
    store.keep("open_gop.mp4", kept.of_views)
    assert workers.passes["read"] == before + 2
    assert shown(store, view_of("open_gop.mp4", [9, 5])) == [9, 5] and workers.passes["read"] == before + 2
    assert shown(store, view_of("hevc.mp4", [9, 5])) == [9, 5] and workers.passes["read"] == before + 3
    [again] = store.read_beside([("open_gop.mp4", FrameSet([1], (32, 16)))])
    assert not isinstance(again, VideoError) and again.of_views == {}, "what is in the cache is not read again"
    [uncached] = corpus("open_gop.mp4", shown=announced).read_beside([("open_gop.mp4", FrameSet([1], (32, 16)))])
    assert not isinstance(uncached, VideoError) and uncached.of_views == {}, "memory would not hold a corpus"


def test_another_size_or_reader_is_another_entry(corpus: Corpus, tmp_path: Path) -> None:
    view = view_of("open_gop.mp4", [5])
    assert corpus("open_gop.mp4", cache=tmp_path / "cache").frames(view).shape == (1, HEIGHT, WIDTH, 3)
    smaller = FramePolicy(max_pixels=1024, multiple=16)
    with FrameStore(tmp_path / "corpus", {"open_gop.mp4": "open_gop.mp4"}, smaller, cache=tmp_path / "cache") as store:
        assert store.frames(view).shape == (1, 32, 32, 3)
    exact = FramePolicy(size=(20, 30))
    with FrameStore(tmp_path / "corpus", {"open_gop.mp4": "open_gop.mp4"}, exact, cache=tmp_path / "cache") as store:
        assert store.frames(view).shape == (1, 20, 30, 3)
    other = corpus("open_gop.mp4", reader="opencv", cache=tmp_path / "cache")
    (tmp_path / "corpus" / "open_gop.mp4").unlink()
    with pytest.raises(VideoError, match="missing"):
        other.frames(view)


def test_failures_are_returned_and_a_bad_file_is_tried_once(corpus: Corpus) -> None:
    store = corpus("closed_gop.mp4", "broken.mp4", "gone.mp4")
    (store.root / "broken.mp4").write_bytes(b"not a video at all" * 99)
    views = [view_of(name, [1, 2]) for name in ("broken.mp4", "closed_gop.mp4", "gone.mp4")]
    failed = store.prefetch(views)
    assert {name: (error.path, error.reason) for name, error in failed.items()} == {
        "broken.mp4": ("broken.mp4", "not_a_video"),
        "gone.mp4": ("gone.mp4", "missing"),
    }
    assert shown(store, views[1]) == [1, 2]
    (store.root / "broken.mp4").write_bytes((store.root / "closed_gop.mp4").read_bytes())
    with pytest.raises(VideoError, match="not_a_video"):
        store.frames(views[0])
    assert store.prefetch(views).keys() == failed.keys()


def test_a_frame_that_the_video_does_not_have_is_the_videos_error(corpus: Corpus) -> None:
    assert corpus("closed_gop.mp4").prefetch([view_of("closed_gop.mp4", [3, 99])])["closed_gop.mp4"].reason == "frame_missing"


def test_videos_stay_inside_the_root(corpus: Corpus, clips: dict[str, Path], tmp_path: Path) -> None:
    store = corpus("link.mp4", "../outside.mp4", str(clips["hevc.mp4"]))
    (tmp_path / "outside.mp4").write_bytes(clips["closed_gop.mp4"].read_bytes())
    (store.root / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    names = ["link.mp4", "../outside.mp4", str(clips["hevc.mp4"])]
    failed = store.prefetch([view_of(name, [1]) for name in names])
    assert [failed[name].reason for name in names] == ["outside_root"] * 3
    assert [failed[name].path for name in names] == names


def test_a_video_that_is_not_listed_is_the_callers_mistake(corpus: Corpus) -> None:
    with pytest.raises(InputError, match=r"video 'other\.mp4'"):
        corpus("closed_gop.mp4").frames(view_of("other.mp4", [1]))
    with pytest.raises(InputError, match="unknown"):
        corpus("closed_gop.mp4", reader="vlc")


def test_a_store_without_workers_starts_and_ends_its_own(corpus: Corpus) -> None:
    with corpus("closed_gop.mp4", workers=None) as store:
        assert shown(store, view_of("closed_gop.mp4", [2, 1])) == [2, 1]
        (pid,) = store.workers.pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.fixture
def lone_worker() -> Iterator[DecodeWorkers]:
    with DecodeWorkers(1, DecodeLimits(timeout_s=60)) as pool:
        yield pool


def test_a_crash_during_a_prefetch_costs_one_video(corpus: Corpus, clips: dict[str, Path], lone_worker: DecodeWorkers) -> None:
    store = corpus("closed_gop.mp4", "slow.avi", "hevc.mp4", workers=lone_worker)
    write_numbered(store.root / "slow.avi", 60, codec="mjpeg", pixel_format="yuvj420p", size=(2048, 2048))
    lone_worker.probe(store.root / "closed_gop.mp4")

    views = [view_of("slow.avi", [59]), view_of("hevc.mp4", [3]), view_of("closed_gop.mp4", [1])]
    timer = threading.Timer(0.2, os.kill, (lone_worker.pids[0], signal.SIGSEGV))
    timer.start()
    failed = store.prefetch(views)
    timer.join()
    assert {name: error.reason for name, error in failed.items()} == {"slow.avi": "crashed"}
    assert shown(store, view_of("hevc.mp4", [3])) == [3]


def test_frames_are_the_callers_own(corpus: Corpus) -> None:
    store, view = corpus("closed_gop.mp4"), view_of("closed_gop.mp4", [4])
    frames = store.frames(view)
    frames[:] = 0
    assert np.any(store.frames(view))
