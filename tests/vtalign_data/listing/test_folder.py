from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign_data.listing.entries import BadEntry
from vtalign_data.listing.folder import list_folder, list_glob, matches, split_glob


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def paths(entries) -> list[str]:
    return sorted(entry.path for entry in entries if not isinstance(entry, BadEntry))


def bad(entries) -> list[tuple[str, str, str]]:
    return sorted(entry[:3] for entry in entries if isinstance(entry, BadEntry))


def test_a_folder_is_searched_to_the_bottom(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "B/c.MKV", "B/d/é 视频.webm", "notes.txt", ".hidden.mp4", ".git/x.mp4", "B/e")
    assert paths(list_folder(tmp_path, frozenset({".mp4", ".mkv", ".webm"}))) == ["B/c.MKV", "B/d/é 视频.webm", "a.mp4"]
    assert paths(list_folder(tmp_path, frozenset({".mkv"}))) == ["B/c.MKV"]


def test_links_to_files_are_listed_and_links_to_folders_are_told_and_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.mp4")
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "sub" / "link.mp4").symlink_to(tmp_path / "sub" / "a.mp4")
    (tmp_path / "broken.mp4").symlink_to(tmp_path / "nowhere")
    listed = ["broken.mp4", "sub/a.mp4", "sub/link.mp4"]
    assert paths(list_folder(tmp_path, frozenset({".mp4"}))) == listed
    assert paths(list_glob(tmp_path, "**/*.mp4", None)) == listed
    told = [("circle/", "failed", "linked_folder")]
    assert bad(list_folder(tmp_path, frozenset({".mp4"}))) == told
    for pattern in ("**/*.mp4", "**", "c*/*.mp4", "*/sub/**/*.mp4"):
        assert bad(list_glob(tmp_path, pattern, None)) == told, pattern
    for pattern in ("*.mp4", "sub/*.mp4", "*"):
        assert bad(list_glob(tmp_path, pattern, None)) == [], pattern


def test_a_folder_that_goes_away_is_told(tmp_path: Path) -> None:
    (bad,) = list_folder(tmp_path / "gone", frozenset({".mp4"}))
    assert bad[:3] == ("./", "failed", "unreadable")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.mp4", ["a.mp4"]),
        ("**/*.mp4", ["a.mp4", "x/b.mp4", "x/y/c.mp4"]),
        ("**", ["a.mp4", "x/b.mp4", "x/n.txt", "x/y/c.mp4"]),
        ("x/**", ["x/b.mp4", "x/n.txt", "x/y/c.mp4"]),
        ("x/**/c.mp4", ["x/y/c.mp4"]),
        ("**/x/**/y/*", ["x/y/c.mp4"]),
        ("*/[bn].*", ["x/b.mp4", "x/n.txt"]),
        ("?.mp4", ["a.mp4"]),
        ("*.MP4", []),
    ],
)
def test_globs(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    make(tmp_path, "a.mp4", "x/b.mp4", "x/n.txt", "x/y/c.mp4")
    assert paths(list_glob(tmp_path, pattern, None)) == expected
    assert paths(list_glob(tmp_path, pattern, frozenset({".txt"}))) == [name for name in expected if name.endswith(".txt")]


def test_where_a_glob_begins() -> None:
    assert split_glob(Path("/data/a/*/x?.mp4")) == (Path("/data/a"), "*/x?.mp4")
    assert split_glob(Path("*.mp4")) == (Path(), "*.mp4")


@given(
    parts=st.lists(st.sampled_from("ab"), min_size=1, max_size=5),
    pattern=st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=5),
)
def test_matching_is_what_the_definition_says(parts: list[str], pattern: list[str]) -> None:
    def defined(parts: list[str], pattern: list[str]) -> bool:
        if not pattern:
            return not parts
        if pattern[0] == "**":
            return any(defined(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
        return bool(parts) and pattern[0] in (parts[0], "*") and defined(parts[1:], pattern[1:])

    assert matches(parts, pattern) == defined(parts, pattern)
