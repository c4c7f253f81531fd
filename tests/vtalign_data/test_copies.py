import random
from pathlib import Path

from vtalign_data.copies import group_copies


def row(video: str, video_id: str) -> dict[str, object]:
    return {"video": video, "video_id": video_id, "bytes": len(video_id)}


def test_copies_are_grouped_in_order_of_the_first_path(tmp_path: Path) -> None:
    rows = [row("c", "v1"), row("a", "v2"), row("é", "v1"), row("b", "v3"), row("z", "v2"), row("d", "v1")]
    expected = [(row("a", "v2"), ["z"]), (row("b", "v3"), []), (row("c", "v1"), ["d", "é"])]
    for seed in range(3):
        found = group_copies(random.Random(seed).sample(rows, len(rows)), tmp_path)
        assert list(found) == expected and found[1:] == expected[1:]


def test_none(tmp_path: Path) -> None:
    assert list(group_copies([], tmp_path)) == []
