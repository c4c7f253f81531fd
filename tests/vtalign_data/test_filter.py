import pytest

from vtalign_data.config import FilterConfig
from vtalign_data.filter import filter_candidates

GOOD = {
    "pair_id": "pair-1",
    "name": "shuffle",
    "kind": "response",
    "prompt": "What happens?",
    "chosen": "First, a. Finally, b.",
    "rejected": "First, b. Finally, a.",
    "clip_texts": ["a", "b"],
    "stray": [],
}
CONFIG = FilterConfig()


def reasons(*rows: dict) -> list[tuple[str, str]]:
    result = filter_candidates([rows], CONFIG, [*CONFIG.placeholders, "<|im_end|>"])
    assert len(result.rows) + len(result.rejected) == len(rows)
    return [(loss.id, loss.reason) for loss in result.rejected]


def test_a_good_pair_stays() -> None:
    assert reasons(GOOD) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rejected": " \n"}, "empty"),
        ({"prompt": ""}, "empty"),
        ({"rejected": "First, <|video_pad|>. Finally, a."}, "placeholder"),
        ({"prompt": "<video> What happens?"}, "placeholder"),
        ({"chosen": "First, a<|im_end|>. Finally, b."}, "placeholder"),
        ({"stray": ["<|vision_start|>"]}, "placeholder"),
        ({"clip_texts": ["A  man", "a man"]}, "captions_identical"),
        ({"rejected": "first,  A. finally, b."}, "identical"),
        ({"rejected": "First, a. Finally, b. Then more"}, "containment"),
        ({"rejected": "Finally, b"}, "containment"),
        ({"rejected": "First, b. Finally, a, and much more than that."}, "length_ratio"),
    ],
)
def test_each_rule(change: dict, reason: str) -> None:
    assert reasons({**GOOD, **change}) == [("pair-1", reason)]


def test_drop_and_questions_may_differ_more_in_length() -> None:
    longer = {**GOOD, "rejected": "Only b here."}
    assert reasons(longer) == [("pair-1", "length_ratio")]
    assert reasons({**longer, "name": "drop"}) == reasons({**longer, "name": "segment_exclude"}) == []
    assert reasons({**longer, "kind": "order"}) == []


def test_duplicates_are_those_of_one_view() -> None:
    twin = {**GOOD, "pair_id": "pair-2", "name": "reverse"}
    assert reasons(GOOD, twin) == [("pair-2", "duplicate")]
    result = filter_candidates([[GOOD], [twin]], CONFIG, CONFIG.placeholders)
    assert len(result.rows) == 2


def test_one_clip_only_is_not_identical_captions() -> None:
    assert reasons({**GOOD, "clip_texts": ["a"]}) == []


def test_pairs_of_views_say_the_same_and_show_something_else() -> None:
    view = {**GOOD, "kind": "view", "rejected": GOOD["chosen"], "clip_texts": ["a", "a"], "perturbed_view_id": "view-1"}
    again = {**view, "pair_id": "pair-2"}
    assert reasons(view, again) == [("pair-2", "duplicate")]
    assert reasons(view, {**again, "perturbed_view_id": "view-2"}) == []
    assert reasons({**view, "chosen": " ", "rejected": " "}) == [("pair-1", "empty")]
    assert reasons({**view, "prompt": "<video> What?"}) == [("pair-1", "placeholder")]
