from dataclasses import replace

import pytest

from vtalign_eval.items import Item, is_confined, take

ITEM = Item("q0", "v.mp4", "f", "order", "which ?", ("a", "b"), "a")


def test_the_limit_takes_the_first_and_dissolves_groups_it_cuts() -> None:
    items = [replace(ITEM, question_id=f"q{i}", group=group) for i, group in enumerate(["x", "x", None, "y", "y"])]
    assert [item.group for item in take(items, 4)] == ["x", "x", None, None]
    assert take(items, None) == tuple(items) == take(items, 99)


@pytest.mark.parametrize(
    ("video", "inside"), [("a.mp4", True), ("v/a b.mp4", True), ("", False), ("/a", False), ("v/../../a", False)]
)
def test_paths_stay_inside(video: str, inside: bool) -> None:
    assert is_confined(video) is inside
