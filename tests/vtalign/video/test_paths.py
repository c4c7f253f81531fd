"""Manifest paths are followed only inside the corpus root."""

from pathlib import Path

import pytest

from vtalign.errors import VideoError
from vtalign.video.paths import confined


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.mp4").touch()
    (tmp_path / "secret.mp4").touch()
    (tmp_path / "corpus-2").mkdir()
    (tmp_path / "corpus-2" / "b.mp4").touch()
    (root / "inside.mp4").symlink_to(root / "sub" / "a.mp4")
    (root / "escape.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "folder").symlink_to(tmp_path)
    (root / "loop.mp4").symlink_to(root / "loop.mp4")
    return root


@pytest.mark.parametrize("path", ["sub/a.mp4", "./sub/../sub/a.mp4", "inside.mp4"])
def test_inside(root: Path, path: str) -> None:
    assert confined(root, path) == (root / "sub" / "a.mp4").resolve()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../secret.mp4", "outside_root"),
        ("../corpus-2/b.mp4", "outside_root"),
        ("escape.mp4", "outside_root"),
        ("folder/secret.mp4", "outside_root"),
        ("/etc/passwd", "outside_root"),
        ("absent.mp4", "missing"),
        ("loop.mp4", "missing"),
        ("sub/a.mp4/deeper", "missing"),
        ("nul\0.mp4", "missing"),
        ("x" * 5000, "missing"),
    ],
)
def test_not_inside(root: Path, path: str, reason: str) -> None:
    with pytest.raises(VideoError) as raised:
        confined(root, path)
    assert (raised.value.reason, raised.value.path) == (reason, path)


def test_a_root_behind_a_symlink(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    assert confined(tmp_path / "alias", "sub/a.mp4").is_file()
