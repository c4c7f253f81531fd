import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign_data.listing.entries import BadEntry, Entry
from vtalign_data.listing.index import Annotated, Listing


def listing(folder: Path, *entries: Entry | BadEntry, limit: int | None = None) -> Listing:
    return Listing(entries, folder, "m.csv", limit)


def test_rows_that_name_one_video_are_joined(tmp_path: Path) -> None:
    found = listing(
        tmp_path, Entry("b", 2, "one"), Entry("a", 3, None), Entry("b", 4, "two"), Entry("b", 5, "one"), Entry("a", 6, None)
    )
    assert [
        (item.id, item.place, item.lost and (item.lost.outcome, item.lost.reason, item.lost.detail)) for item in found.items
    ] == [
        ("a", "m.csv:3", None),
        ("b", "m.csv:2", None),
        ("m.csv:5", "", ("filtered", "duplicate_row", "says the same as m.csv:2")),
        ("m.csv:6", "", ("filtered", "duplicate_row", "says the same as m.csv:3")),
    ]
    assert list(found.annotations()) == [("b", 2, "one"), ("b", 4, "two")]


def test_annotations_of_kept_videos(tmp_path: Path) -> None:
    found = listing(
        tmp_path, *(Entry(path, row, "x") for row, path in enumerate(["b", "copy of b", "lost", "a"], 2)), Entry("b", 9, "y")
    )
    scanned = [("a", "v1"), ("b", "v2"), ("copy of b", "v2"), ("lost", "v3")]
    for _ in range(2):
        annotated = list(found.annotated(scanned, [("v2", "b"), ("v1", "a")]))
        assert annotated == [Annotated("v1", "a", 5, "x"), Annotated("v2", "b", 2, "x"), Annotated("v2", "b", 9, "y")]


def test_a_limit_takes_the_first_paths(tmp_path: Path) -> None:
    found = listing(
        tmp_path, Entry("c", 1, "x"), Entry("a", 2), Entry("b", 3, "y"), BadEntry("m.csv:4", "failed", "r", ""), limit=2
    )
    assert [item.id for item in found.items] == ["a", "b", "m.csv:4"]
    assert list(found.annotations()) == [("b", 3, "y")]


def test_names_that_are_no_unicode_and_files_called_like_a_row(tmp_path: Path) -> None:
    found = listing(
        tmp_path,
        Entry("x\udcff", 1),
        Entry("m.csv:2", 7),
        BadEntry("m.csv:2", "failed", "r", "d\udcff"),
        Entry("视频", 3),
        Entry("é", 4),
    )
    assert [item.id for item in found.items] == ["./m.csv:2", "m.csv:2", "x\udcff", "é", "视频"]
    assert found.items[0].lost is not None and found.items[0].lost.detail == "d\\udcff"


def test_nothing_is_left_on_the_disk(tmp_path: Path) -> None:
    found = listing(tmp_path, Entry("a"))
    assert list(tmp_path.iterdir()) == [] and len(found.items) == 1


@given(
    entries=st.lists(
        st.builds(Entry, st.text("ab\udcff视/", min_size=1, max_size=3), st.just(0), st.sampled_from([None, "x", "y"])),
        max_size=20,
    ),
    seed=st.integers(0, 99),
    limit=st.none() | st.integers(1, 5),
)
def test_order_does_not_matter(
    entries: list[Entry], seed: int, limit: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("index")
    once = {(entry.path, entry.annotation) for entry in entries}
    numbered = [Entry(entry.path, row, entry.annotation) for row, entry in enumerate(entries, 1)]
    shuffled = random.Random(seed).sample(numbered, len(numbered))
    first, second = (listing(folder, *given, limit=limit) for given in (numbered, shuffled))
    assert list(first.items) == list(second.items) and list(first.annotations()) == list(second.annotations())
    files = [item.id for item in first.items if item.lost is None]
    assert files == sorted({entry.path for entry in entries})[:limit]
    kept = {(path, annotation) for path, annotation in once if path in files}
    assert {(path, annotation) for path, _, annotation in first.annotations()} == {pair for pair in kept if pair[1] is not None}
    lost = [item for item in first.items if item.lost is not None]
    assert len(lost) + len(kept) == sum(entry.path in files for entry in entries)
