import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.errors import InputError
from vtalign.training.schedule import PlannedBatches, epochs_in_random_order, examples_wanted, plan_steps


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
    plan = plan_steps(order, [i % videos for i in range(count)], per_step=per_step, micro_batch=micro_batch, devices=devices)
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
    plans = [plan_steps(order, list(range(40)), per_step=12, micro_batch=2, devices=n) for n in (1, 2, 3, 4)]
    contents = [[sorted(i for micro in step for i in micro) for step in plan.steps] for plan in plans]
    assert contents[0] == contents[1] == contents[2] == contents[3]


def test_examples_about_one_video_are_neighbours() -> None:
    plan = plan_steps([0, 3, 1, 4, 2, 5], ["a", "a", "a", "b", "b", "b"], per_step=6, micro_batch=3)
    assert plan.steps == (((0, 1, 2), (3, 4, 5)),)


def test_devices_must_divide_a_step() -> None:
    with pytest.raises(InputError, match="multiple of 4"):
        plan_steps(list(range(10)), list(range(10)), per_step=10, micro_batch=2, devices=4)


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
