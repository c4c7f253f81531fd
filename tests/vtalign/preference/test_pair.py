from dataclasses import replace

from vtalign.preference.pair import group_pairs
from vtalign.preference.scoring import views_to_score


def test_a_group_shares_view_prompt_and_chosen(make_pair) -> None:
    first, second = make_pair(rejected="b then a"), make_pair(rejected="a")
    other_prompt = make_pair(prompt="Why?")
    groups = group_pairs([second, other_prompt, first])
    assert [len(group.pairs) for group in groups] == [2, 1] or [len(group.pairs) for group in groups] == [1, 2]
    shared = next(group for group in groups if len(group.pairs) == 2)
    assert shared.chosen == "a then b"
    assert shared.prompt.parts == (first.view, first.prompt)


def test_groups_do_not_depend_on_the_order_of_the_pairs(make_pair) -> None:
    pairs = [make_pair(prompt=f"q{k % 3}", rejected=f"r{k}") for k in range(9)]
    assert group_pairs(pairs) == group_pairs(pairs[::-1])


def test_each_view_is_asked_for_once(make_pair, make_view) -> None:
    perturbed = make_view([1, 0])
    pairs = [replace(make_pair(rejected=f"r{k}"), perturbed_view=perturbed) for k in range(3)]
    assert [view.view_id for view in views_to_score(pairs)] == [pairs[0].view.view_id, perturbed.view_id]
