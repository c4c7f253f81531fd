import json
import subprocess
import sys
from collections import Counter
from itertools import chain, islice
from typing import get_args

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader

from vtalign.curriculum.sampler import CurriculumSampler, Order
from vtalign.errors import InputError

ORDERS = get_args(Order)


@st.composite
def arguments(draw: st.DrawFn) -> tuple[list[float], dict]:
    difficulties = draw(st.lists(st.sampled_from([0.0625, 0.125, 0.25, 0.5]) | st.floats(-5, 5), min_size=1, max_size=30))
    stages = draw(st.just("by_value") | st.integers(1, len(difficulties)))
    settings = {
        "order": draw(st.sampled_from(ORDERS)),
        "stages": stages,
        "epochs": draw(st.integers(1, 3)),
        "seed": draw(st.integers(0, 9)),
    }
    return difficulties, settings


@given(arguments())
def test_every_pair_comes_once_an_epoch_and_always_in_the_same_order(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    sampler = CurriculumSampler(difficulties, **settings)
    order = list(sampler)
    assert Counter(order) == {index: settings["epochs"] for index in range(len(difficulties))}
    assert order == sampler.indices == list(sampler) == list(CurriculumSampler(difficulties, **settings)) and len(sampler) == len(
        order
    )


@given(arguments(), st.data())
def test_resumed_anywhere_it_goes_on_as_if_nothing_had_happened(case: tuple[list[float], dict], data: st.DataObject) -> None:
    difficulties, settings = case
    whole = CurriculumSampler(difficulties, **settings).indices
    stopped = CurriculumSampler(difficulties, **settings)
    position = data.draw(st.integers(0, len(whole)))
    before = list(islice(stopped, position))
    state = json.loads(json.dumps(stopped.state_dict()))
    resumed = CurriculumSampler(difficulties, **settings)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state == resumed.state_at(position)
    second = data.draw(st.integers(0, len(whole) - position))
    middle = list(islice(resumed, second))
    again = CurriculumSampler(difficulties, **settings)
    again.load_state_dict(resumed.state_dict())
    assert before + middle + list(again) == whole
    assert list(again) == whole, "a later iteration starts from the beginning"


@given(arguments())
def test_stages_come_in_their_order(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    sampler = CurriculumSampler(difficulties, **settings)
    stages = [sampler.stage_at(position) for position in range(len(sampler))]
    assert stages == [sampler.pair_stages[index] for index in sampler.indices] and sampler.num_stages == len(set(stages))
    if settings["order"] == "easy_to_hard":
        assert stages == sorted(stages)
    if settings["order"] == "hard_to_easy":
        assert stages == sorted(stages, reverse=True)
    if settings["order"] in ("random", "mixed"):
        n = len(difficulties)
        assert all(sorted(sampler.indices[e * n : e * n + n]) == list(range(n)) for e in range(settings["epochs"]))


@given(arguments())
def test_the_opposite_order_has_the_same_stages(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    up = CurriculumSampler(difficulties, **settings | {"order": "easy_to_hard"})
    down = CurriculumSampler(difficulties, **settings | {"order": "hard_to_easy"})
    assert up.pair_stages == down.pair_stages
    for stage in range(up.num_stages):
        assert [i for i in up.indices if up.pair_stages[i] == stage] == [i for i in down.indices if down.pair_stages[i] == stage]


@given(arguments())
def test_mixed_holds_the_stages_in_proportion_at_every_moment(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    sampler = CurriculumSampler(difficulties, **settings | {"order": "mixed"})
    n, sizes = len(difficulties), Counter(sampler.pair_stages)
    for position in range(len(sampler) + 1):
        met = Counter(sampler.stage_at(p) for p in range(position))
        for stage, size in sizes.items():
            assert abs(met[stage] - position * size / n) <= 1 + sampler.num_stages / 2


def test_as_many_stages_as_pairs_is_a_strict_order() -> None:
    difficulties = [0.3, -2.0, 5.0, 1.0]
    assert CurriculumSampler(difficulties, stages=4).indices == [1, 0, 3, 2]
    assert CurriculumSampler(difficulties, stages=4, order="hard_to_easy").indices == [2, 3, 0, 1]


def test_inside_a_stage_epochs_and_seeds_shuffle_anew() -> None:
    difficulties = [0.1] * 20 + [0.9] * 20
    order = CurriculumSampler(difficulties, epochs=2, seed=1).indices
    first, second, third = order[:20], order[20:40], order[40:60]
    assert sorted(first) == sorted(second) == list(range(20)) and first != second and sorted(third) == list(range(20, 40))
    assert len({tuple(CurriculumSampler(difficulties, seed=seed).indices) for seed in range(5)}) == 5


def test_two_difficulties_become_stages_whatever_their_distance() -> None:
    near, far = [0.5, 0.25, 0.5, 0.25], [9.0, 1.0, 9.0, 1.0]
    assert CurriculumSampler(near).indices == CurriculumSampler(far).indices


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("order", ORDERS)
def test_any_number_of_ranks_sees_the_same_global_order(ranks: int, order: Order) -> None:
    """Dealt out by accelerate's own sharding; a global batch of 12 pairs, 12 / ranks of them a rank."""
    sampler = CurriculumSampler([1 / 2 ** (i % 4) for i in range(48)], order=order, seed=3)
    shards = [list(BatchSamplerShard(BatchSampler(sampler, 12 // ranks, False), ranks, r)) for r in range(ranks)]
    assert [list(chain(*batches)) for batches in zip(*shards, strict=True)] == [
        sampler.indices[i : i + 12] for i in range(0, 48, 12)
    ]


def test_a_data_loader_that_prefetches_resumes_by_what_was_trained() -> None:
    pairs = torch.arange(24)
    whole = CurriculumSampler([i % 3 for i in range(24)], order="easy_to_hard", seed=5)
    loader = iter(DataLoader(pairs, batch_size=4, sampler=whole, num_workers=1, prefetch_factor=2))  # type: ignore[arg-type]
    trained = [int(index) for _ in range(2) for index in next(loader)]
    assert whole.state_dict()["position"] > 8, "the loader has drawn ahead"
    resumed = CurriculumSampler([i % 3 for i in range(24)], order="easy_to_hard", seed=5)
    resumed.load_state_dict(whole.state_at(8))
    rest = [int(index) for batch in DataLoader(pairs, batch_size=4, sampler=resumed) for index in batch]  # type: ignore[arg-type]
    assert trained + rest == whole.indices


def test_the_same_in_another_process() -> None:
    code = "from vtalign.curriculum import *; print(CurriculumSampler([0, 1, 2, 3] * 9, order='mixed', seed=2).indices)"
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert json.loads(ran.stdout) == CurriculumSampler([0, 1, 2, 3] * 9, order="mixed", seed=2).indices


@pytest.mark.parametrize(
    "changed",
    [{"order": "random"}, {"seed": 1}, {"epochs": 2}, {"stages": 2}, {"difficulties": [1.0, 2.0, 4.0]}, {"difficulties": [1.0]}],
)
def test_the_state_of_another_curriculum_is_refused(changed: dict) -> None:
    settings = {"difficulties": [1.0, 2.0, 3.0], "order": "easy_to_hard", "stages": 3, "epochs": 1, "seed": 0}
    state = CurriculumSampler(**settings).state_at(2)
    other = (
        CurriculumSampler(**settings | {"stages": 1} | changed)
        if "difficulties" in changed
        else CurriculumSampler(**settings | changed)
    )
    with pytest.raises(InputError, match="another curriculum"):
        other.load_state_dict(state)


@pytest.mark.parametrize("position", [-1, 4])
def test_a_position_outside_is_refused(position: int) -> None:
    with pytest.raises(InputError, match="between 0 and 3"):
        CurriculumSampler([1.0, 2.0, 3.0]).state_at(position)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"order": "sideways"}, "order: should be one of easy_to_hard"), ({"epochs": 0}, "epochs"), ({"stages": 9}, "stages")],
)
def test_impossible_settings_are_refused(settings: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        CurriculumSampler([1.0, 2.0, 3.0], **settings)
