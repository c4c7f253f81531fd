import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.errors import InputError
from vtalign.training.schedule import (
    Load,
    PlannedBatches,
    balanced,
    cost_of,
    epochs_in_random_order,
    examples_wanted,
    plan_steps,
)


def of_video(key: object, shared: float = 8.0, own: float = 1.0) -> Load:
    return Load(key, shared, own)


@given(
    count=st.integers(1, 60),
    repeats=st.integers(1, 3),
    per_device=st.integers(1, 8),
    devices=st.integers(1, 4),
    micro_batch=st.integers(1, 5),
    videos=st.integers(1, 8),
)
def test_a_plan_loses_and_repeats_nothing(
    count: int, repeats: int, per_device: int, devices: int, micro_batch: int, videos: int
) -> None:
    order = [random.Random(7).randrange(count) for _ in range(count * repeats)]
    per_step = per_device * devices
    if len(order) < devices:
        return
    plan = plan_steps(
        order,
        [of_video(i % videos, i % 3, i % 5) for i in range(count)],
        per_step=per_step,
        micro_batch=micro_batch,
        devices=devices,
    )
    trained = order[: len(order) // devices * devices]
    assert plan.examples == len(trained)
    for number, step in enumerate(plan.steps):
        assert sorted(i for micro in step for i in micro) == sorted(trained[number * per_step : (number + 1) * per_step])
        assert all(1 <= len(micro) <= micro_batch for micro in step)
        assert len(step) % devices == 0
        if number < len(plan.steps) - 1:
            assert len(step) == plan.accumulation * devices
    dealt = sorted(micro for rank in range(devices) for micro in plan.for_device(rank))
    assert dealt == sorted(micro for step in plan.steps for micro in step)


def test_steps_hold_the_same_examples_on_any_number_of_devices() -> None:
    order = epochs_in_random_order(40, 96, seed=3)
    plans = [
        plan_steps(order, [of_video(i // 3, i, i % 7) for i in range(40)], per_step=12, micro_batch=2, devices=n)
        for n in (1, 2, 3, 4)
    ]
    contents = [[sorted(i for micro in step for i in micro) for step in plan.steps] for plan in plans]
    assert contents[0] == contents[1] == contents[2] == contents[3]


def test_examples_about_one_video_are_neighbours() -> None:
    plan = plan_steps([0, 3, 1, 4, 2, 5], [of_video(key) for key in "aaabbb"], per_step=6, micro_batch=3)
    assert plan.steps == (((0, 1, 2), (3, 4, 5)),)


def test_what_a_forward_costs() -> None:
    loads = [Load("a", 100, 5), Load("a", 100, 7), Load("b", 50, 2)]
    assert cost_of([0, 1], loads) == 112 and cost_of([0, 1, 2], loads) == 164 and cost_of([], loads) == 0


def test_token_counts_are_balanced_over_devices() -> None:
    """Two long videos and four short ones of one example each, on two devices: 100 + 10 + 10 tokens for each of them."""
    loads = [Load(key, shared, 0) for key, shared in zip("abcdef", (100, 100, 10, 10, 10, 10), strict=True)]
    plan = plan_steps(list(range(6)), loads, per_step=6, micro_batch=3, devices=2)
    assert [cost_of(micro, loads) for micro in plan.steps[0]] == [120, 120]


def test_micro_batches_that_run_at_one_time_are_alike_and_so_are_sums() -> None:
    loads = [Load(i, cost, 0) for i, cost in enumerate((1, 8, 2, 7, 3, 6, 4, 5))]
    [step] = plan_steps(list(range(8)), loads, per_step=8, micro_batch=1, devices=2).steps
    assert [cost_of(micro, loads) for micro in step] == [8, 7, 5, 6, 4, 3, 1, 2]


def test_examples_of_a_video_stay_together_where_they_fit() -> None:
    loads = [of_video(key, shared=30) for key in "aaabbcccdd"]
    cut = balanced(list(range(10)), loads, parts=3, most=5)
    assert sorted(map(sorted, cut)) == [[0, 1, 2], [3, 4, 8, 9], [5, 6, 7]]


def test_a_group_larger_than_a_micro_batch_is_split_evenly() -> None:
    loads = [of_video("a")] * 7
    assert [len(part) for part in balanced(list(range(7)), loads, parts=3, most=3)] == [3, 2, 2]


def test_a_group_is_split_where_devices_would_have_nothing() -> None:
    loads = [of_video("a")] * 4
    assert [len(micro) for micro in plan_steps(range(4), loads, per_step=4, micro_batch=4, devices=2).steps[0]] == [2, 2]


def test_a_group_is_split_where_no_room_is_left() -> None:
    loads = [of_video(key) for key in "aaabbbcc"]
    cut = balanced(list(range(8)), loads, parts=2, most=4)
    assert sorted(map(sorted, cut)) == [[0, 1, 2, 6], [3, 4, 5, 7]]


@given(
    costs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300), st.integers(1, 40)), min_size=1, max_size=40),
    most=st.integers(1, 6),
    spare=st.integers(0, 3),
)
def test_a_cut_is_whole_and_near_the_even_one(costs: list[tuple[int, int, int]], most: int, spare: int) -> None:
    """No part exceeds the mean by more than the largest piece: nothing is ever put on a part that is not the lightest with room."""
    shared = {key: tokens for key, tokens, _ in costs}
    loads = [Load(key, shared[key], own) for key, _, own in costs]
    count = len(loads)
    parts = min(count, -(-count // most) + spare)
    cut = balanced(list(range(count)), loads, parts=parts, most=most)
    assert sorted(index for part in cut for index in part) == list(range(count))
    assert len(cut) == parts and all(1 <= len(part) <= most for part in cut)
    if most >= count:  # room everywhere: only then is the lightest part always free
        sums = [cost_of(part, loads) for part in cut]
        whole_groups = [cost_of([i for i in range(count) if loads[i].key == key], loads) for key in shared]
        assert max(sums) <= sum(sums) / parts + max(whole_groups)


def test_devices_must_divide_a_step() -> None:
    with pytest.raises(InputError, match="multiple of 4"):
        plan_steps(list(range(10)), [of_video(i) for i in range(10)], per_step=10, micro_batch=2, devices=4)


def test_random_epochs_are_whole_passes_in_other_orders() -> None:
    order = epochs_in_random_order(10, 25, seed=0)
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20]
    assert order == epochs_in_random_order(10, 25, seed=0) != epochs_in_random_order(10, 25, seed=1)


def test_how_many_examples() -> None:
    assert examples_wanted(10, 4, epochs=None, max_steps=None) == 10
    assert examples_wanted(10, 4, epochs=2.5, max_steps=None) == 25
    assert examples_wanted(10, 4, epochs=0.01, max_steps=None) == 1
    assert examples_wanted(10, 4, epochs=None, max_steps=7) == 28


def test_planned_batches_repeat_themselves() -> None:
    batches = PlannedBatches([(0, 1), (2,)])
    assert list(batches) == list(batches) == [[0, 1], [2]] and len(batches) == 2
