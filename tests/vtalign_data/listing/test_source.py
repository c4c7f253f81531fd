from pathlib import Path

import pytest

from vtalign.errors import InputError
from vtalign_data.ingest_config import ColumnConfig
from vtalign_data.listing.entries import BadEntry, Entry, relative_path
from vtalign_data.listing.source import Source, find_source

PLAIN = ColumnConfig()


def find(
    videos: Path, root: Path | None = None, columns: ColumnConfig = PLAIN, extensions: tuple[str, ...] | None = None
) -> Source:
    return find_source(videos, root, columns, extensions)


def paths(source: Source) -> list[str]:
    return sorted(entry.path for entry in source.entries() if isinstance(entry, Entry))


def bad(source: Source) -> list[tuple[str, str, str]]:
    return [(entry.place, entry.outcome, entry.reason) for entry in source.entries() if isinstance(entry, BadEntry)]


def test_a_folder(troubled_videos: Path) -> None:
    source = find(troubled_videos)
    listed = paths(source)
    assert source.root == troubled_videos and source.manifest is None
    assert "sub/deep.MP4" in listed and "a_text.mp4" in listed
    assert "notes.txt" not in listed and ".hidden.mp4" not in listed
    assert paths(find(troubled_videos, extensions=(".txt",))) == ["notes.txt"]


def test_a_glob(troubled_videos: Path) -> None:
    source = find(troubled_videos / "*" / "*.MP4")
    assert source.root == troubled_videos and paths(source) == ["sub/deep.MP4"]
    with pytest.raises(InputError, match="no such folder"):
        find(troubled_videos / "gone" / "*.mp4")


def test_a_name_with_brackets_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "a[1]").mkdir()
    (tmp_path / "a[1]" / "x.mp4").touch()
    assert paths(find(tmp_path / "a[1]")) == ["x.mp4"]


def test_manifests(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# some\nb.mp4\n\n./a.mp4\nb.mp4\nsub/../c.mp4\n")
    source = find(tmp_path / "list.txt")
    assert source.root == tmp_path and source.manifest == "list.txt"
    assert paths(source) == ["a.mp4", "b.mp4", "b.mp4", "c.mp4"]
    (tmp_path / "list.jsonl").write_text('{"video": "x.mp4", "more": 1}\n{"video": "' + str(tmp_path / "y.mp4") + '"}\n')
    assert paths(find(tmp_path / "list.jsonl")) == ["x.mp4", "y.mp4"]
    (tmp_path / "media").mkdir()
    assert find(tmp_path / "list.txt", tmp_path / "media").root == tmp_path / "media"


def test_each_bad_row_costs_itself(tmp_path: Path) -> None:
    rows = ['{"video": "good.mp4", "c": "x"}', '{"c": "x"}', '{"video": ""}', '{"video": 3}', "{", '{"video": "\\ud800"}']
    rows += ['{"video": "a.mp4", "c": {}}', '{"video": "notes.txt"}', '{"video": null}']
    (tmp_path / "list.jsonl").write_text("\n".join(rows))
    source = find(tmp_path / "list.jsonl", columns=ColumnConfig(caption="c"), extensions=(".mp4",))
    assert paths(source) == ["good.mp4"]
    assert bad(source) == [
        ("list.jsonl:2", "failed", "missing_column"),
        ("list.jsonl:3", "failed", "empty_path"),
        ("list.jsonl:4", "failed", "wrong_type"),
        ("list.jsonl:5", "failed", "not_json"),
        ("list.jsonl:6", "failed", "bad_utf8"),
        ("list.jsonl:7", "failed", "wrong_type"),
        ("list.jsonl:8", "filtered", "extension"),
        ("list.jsonl:9", "failed", "empty_path"),
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("./a//b/../c.mp4", "a/c.mp4"),
        ("/data/a.mp4", "a.mp4"),
        ("/data/../etc/x", "/etc/x"),
        ("/database/a.mp4", "/database/a.mp4"),
        ("../a.mp4", "../a.mp4"),
        ("/data", "."),
        ("//data/a", "//data/a"),
    ],
)
def test_relative_paths(path: str, expected: str) -> None:
    assert relative_path(path, "/data") == expected


def test_a_root_that_is_the_root() -> None:
    assert relative_path("/a/b.mp4", "/") == "a/b.mp4"


def test_what_cannot_be_a_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of videos"):
        find(tmp_path / "nowhere")
    (tmp_path / "film.mp4").touch()
    with pytest.raises(InputError, match="is a video; give the folder"):
        find(tmp_path / "film.mp4")
    (tmp_path / "a.txt").write_text("a.mp4")
    with pytest.raises(InputError, match="root of the manifest"):
        find(tmp_path / "a.txt", tmp_path / "nowhere")
    with pytest.raises(InputError, match="its own root"):
        find(tmp_path, tmp_path.parent)
    assert "no videos in this folder (looked for .mkv)" in find(tmp_path, extensions=(".mkv",)).nothing
