"""Which groups a page shows: some of everything, and the same ones every time."""

from vtalign_eval.report.selection import spread

BUCKETS = {
    "same": {"order": [f"so{k}" for k in range(50)], "speed": ["ss0"]},
    "solved": {"order": ["lo0"], "speed": [f"ls{k}" for k in range(50)]},
}


def test_every_bucket_comes_before_the_second_of_any() -> None:
    chosen = spread(BUCKETS, str, most=4)
    assert [kind for kind, _ in chosen] == ["same", "solved", "same", "solved"]
    assert [group[:2] for _, group in chosen] == ["so", "lo", "ss", "ls"], "by aspect, kinds in the order given"


def test_what_one_bucket_lacks_the_others_fill() -> None:
    chosen = [group for _, group in spread(BUCKETS, str, most=12)]
    assert len(chosen) == len(set(chosen)) == 12 and {"ss0", "lo0"} < set(chosen)


def test_the_order_of_questions_does_not_matter_and_neighbours_are_not_favoured() -> None:
    turned = {kind: {aspect: groups[::-1] for aspect, groups in found.items()} for kind, found in BUCKETS.items()}
    assert spread(turned, str) == spread(BUCKETS, str)
    assert [group for kind, group in spread(BUCKETS, str) if group.startswith("so")] != [f"so{k}" for k in range(5)]


def test_no_groups_and_few_groups() -> None:
    assert spread({}, str) == [] and spread({"same": {}}, str) == []
    assert spread({"same": {"order": ["a"]}}, str) == [("same", "a")]
