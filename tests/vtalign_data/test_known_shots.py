from pathlib import Path

import pytest

from vtalign_data.known_shots import KnownShots
from vtalign_data.stage import BatchResult, Rejected

FOUND = BatchResult(
    [{"number": 0, "start": 0.1 + 0.2, "embedding": [0.1, 1e-9], "frames": [], "video": "ä.mp4"}],
    [Rejected("ä.mp4#1", "filtered", "shot_too_short", "0.1 s")],
)


def test_what_is_put_is_got_until_it_is_removed(tmp_path: Path) -> None:
    known = KnownShots(tmp_path / "shots.tmp")
    assert known.get("video-1") is None
    known.put("video-1", FOUND)
    known.put("video-2", BatchResult())
    assert known.get("video-1") == FOUND and known.get("video-2") == BatchResult()
    known.remove()
    assert known.get("video-1") is None and not list(tmp_path.iterdir())
    known.remove()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": []}', '{"rows": [], "rejected": [{}]}'])
def test_a_torn_file_is_nothing_known(tmp_path: Path, text: str) -> None:
    known = KnownShots(tmp_path)
    known.put("video-1", FOUND)
    [file] = tmp_path.rglob("*.json")
    file.write_text(text)
    assert known.get("video-1") is None


def test_where_the_disk_does_not_take_it_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    known = KnownShots(tmp_path / "file")
    known.put("video-1", FOUND)
    assert known.get("video-1") is None
