import json
import subprocess
import sys
from collections import Counter
from itertools import chain, groupby, islice
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


DIRECTED = ("easy_to_hard", "hard_to_easy")


@st.composite
def staged(draw: st.DrawFn, orders: tuple[str, ...] = ORDERS) -> tuple[list[float], dict]:
    difficulties = draw(st.lists(st.sampled_from([0.0625, 0.125, 0.25, 0.5]) | st.floats(-5, 5), min_size=1, max_size=30))
    order = draw(st.sampled_from(orders))
    settings = {
        "order": order,
        "stages": draw(st.just("by_value") | st.integers(1, len(difficulties))),
        "replay": draw(st.sampled_from([0.0, 0.1, 0.25, 0.5])) if order in DIRECTED else 0.0,
        "length": draw(st.integers(1, 3 * len(difficulties))),
        "seed": draw(st.integers(0, 9)),
    }
    return difficulties, settings


@st.composite
def continuous(draw: st.DrawFn) -> tuple[list[float], dict]:
    difficulties = draw(st.lists(st.sampled_from([0.0625, 0.125, 0.25, 0.5]) | st.floats(-5, 5), min_size=1, max_size=30))
    settings = {
        "order": draw(st.sampled_from([*DIRECTED, "random"])),
        "pacing": draw(st.sampled_from(["linear", "root", "geometric"])),
        "start": draw(st.sampled_from([0.01, 0.25, 0.6, 1.0])),
        "duration": draw(st.sampled_from([0.3, 0.8, 1.0])),
        "replay": draw(st.sampled_from([0.0, 0.1, 0.5])),
        "length": draw(st.integers(1, 3 * len(difficulties))),
        "seed": draw(st.integers(0, 9)),
    }
    return difficulties, settings


@given(staged() | continuous())
def test_an_order_has_its_length_and_is_always_the_same(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    sampler = CurriculumSampler(difficulties, **settings)
    order = list(sampler)
    assert order == sampler.indices == list(sampler) == list(CurriculumSampler(difficulties, **settings))
    assert len(order) == len(sampler) == settings["length"] and set(order) <= set(range(len(difficulties)))


@given(staged(), st.integers(1, 3))
def test_without_replay_every_pair_comes_once_a_pass(case: tuple[list[float], dict], passes: int) -> None:
    difficulties, settings = case
    n = len(difficulties)
    order = CurriculumSampler(difficulties, **settings | {"replay": 0.0, "length": passes * n}).indices
    assert Counter(order) == dict.fromkeys(range(n), passes)
    assert Counter(CurriculumSampler(difficulties).indices) == dict.fromkeys(range(n), 1), "one pass where no length is given"


@given(staged(orders=("random", "mixed")))
def test_a_cut_pass_is_the_beginning_of_a_whole_one(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    whole = CurriculumSampler(difficulties, **settings | {"length": 3 * len(difficulties)}).indices
    assert CurriculumSampler(difficulties, **settings).indices == whole[: settings["length"]]


@given(staged(orders=DIRECTED))
def test_every_stage_has_its_share_of_the_length(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    sampler = CurriculumSampler(difficulties, **settings)
    met = Counter(sampler.stage_at(position) for position in range(len(sampler)))
    for stage, size in Counter(sampler.pair_stages).items():
        assert abs(met[stage] - len(sampler) * size / len(difficulties)) < 1


@given(staged(orders=DIRECTED))
def test_replays_are_their_share_spread_evenly_and_come_from_stages_before(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    sampler = CurriculumSampler(difficulties, **settings)
    place = {stage: number for number, stage in enumerate(dict.fromkeys(sampler.stage_at(p) for p in range(len(sampler))))}
    repeats: Counter[int] = Counter()
    seen: set[int] = set()
    for stage, positions in groupby(range(len(sampler)), key=sampler.stage_at):
        own: Counter[int] = Counter()
        earlier = set(seen)
        before = repeats.total()
        for number, position in enumerate(positions, 1):
            index = sampler.indices[position]
            if sampler.pair_stages[index] == stage:
                own[index] += 1
                seen.add(index)
            else:
                assert index in earlier and place[sampler.pair_stages[index]] < place[stage]
                repeats[index] += 1
            assert repeats.total() - before == (int(number * settings["replay"] + 1e-9) if earlier else 0)
        assert_in_passes(own, [index for index, of in enumerate(sampler.pair_stages) if of == stage])
        for easier in set(sampler.pair_stages):
            assert_in_passes(repeats, [index for index in earlier if sampler.pair_stages[index] == easier])


def assert_in_passes(times: Counter[int], members: list[int]) -> None:
    """No member comes a second time before all have come once."""
    assert not members or max(times[m] for m in members) - min(times[m] for m in members) <= 1


@given(staged() | continuous(), st.data())
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


@given(staged() | continuous(), st.integers(1, 4), st.integers(1, 3), st.data())
def test_resumed_on_another_number_of_ranks_it_is_the_same_order(
    case: tuple[list[float], dict], ranks: int, per_rank: int, data: st.DataObject
) -> None:
    """Global steps of ranks * per_rank pairs, dealt out by accelerate's own sharding; only whole ones, so that ranks are even."""
    difficulties, settings = case
    step = ranks * per_rank
    steps = settings["length"] // step
    first = data.draw(st.integers(0, steps))
    resumed = CurriculumSampler(difficulties, **settings)
    resumed.load_state_dict(CurriculumSampler(difficulties, **settings).state_at(first * step))
    batches = list(BatchSampler(resumed, per_rank, drop_last=True))[: (steps - first) * ranks]
    shards = [list(BatchSamplerShard(batches, ranks, rank)) for rank in range(ranks)]  # type: ignore[arg-type]
    found = [index for dealt in zip(*shards, strict=True) for batch in dealt for index in batch]
    assert found == CurriculumSampler(difficulties, **settings).indices[first * step : steps * step]


@given(staged())
def test_stages_come_in_their_order(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    sampler = CurriculumSampler(difficulties, **settings)
    stages = [sampler.stage_at(position) for position in range(len(sampler))]
    assert sampler.num_stages == len(set(sampler.pair_stages))
    if settings["order"] == "easy_to_hard":
        assert stages == sorted(stages)
    if settings["order"] == "hard_to_easy":
        assert stages == sorted(stages, reverse=True)
    if not settings["replay"]:
        assert stages == [sampler.pair_stages[index] for index in sampler.indices]


@given(staged())
def test_the_opposite_order_has_the_same_stages(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    settings |= {"replay": 0.0, "length": 2 * len(difficulties)}
    up = CurriculumSampler(difficulties, **settings | {"order": "easy_to_hard"})
    down = CurriculumSampler(difficulties, **settings | {"order": "hard_to_easy"})
    assert up.pair_stages == down.pair_stages
    for stage in range(up.num_stages):
        assert [i for i in up.indices if up.pair_stages[i] == stage] == [i for i in down.indices if down.pair_stages[i] == stage]


@given(staged(orders=("mixed",)))
def test_mixed_holds_the_stages_in_proportion_at_every_moment(case: tuple[list[float], dict]) -> None:
    difficulties, settings = case
    sampler = CurriculumSampler(difficulties, **settings)
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
    order = CurriculumSampler(difficulties, length=80, seed=1).indices
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


def test_orders_stay_what_they_are() -> None:
    """A run that is resumed after an update of the library needs the order that it began with."""
    difficulties = [0.5, 0.0625, 0.25, 0.125, 0.5, 0.0625]
    assert CurriculumSampler(difficulties, seed=1, length=8).indices == [5, 1, 3, 3, 2, 0, 4, 4]
    assert CurriculumSampler(difficulties, seed=1, length=8, stages=2, replay=0.5).indices == [3, 5, 1, 1, 0, 1, 2, 5]
    assert CurriculumSampler(difficulties, seed=1, length=8, pacing="root", replay=0.25).indices == [5, 1, 2, 5, 0, 3, 4, 3]


def test_the_same_in_another_process() -> None:
    code = "from vtalign.curriculum import *; print(CurriculumSampler([0, 1, 2, 3] * 9, order='mixed', seed=2).indices)"
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert json.loads(ran.stdout) == CurriculumSampler([0, 1, 2, 3] * 9, order="mixed", seed=2).indices


@pytest.mark.parametrize(
    "changed",
    [
        {"order": "random"},
        {"seed": 1},
        {"length": 6},
        {"stages": 2},
        {"pacing": "root"},
        {"replay": 0.1},
        {"difficulties": [1.0, 2.0, 4.0]},
        {"difficulties": [1.0]},
    ],
)
def test_the_state_of_another_curriculum_is_refused(changed: dict) -> None:
    settings = {"difficulties": [1.0, 2.0, 3.0], "order": "easy_to_hard", "stages": 3, "length": 3, "seed": 0}
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
    [
        ({"order": "sideways"}, "order: should be one of easy_to_hard"),
        ({"pacing": "cubic"}, "pacing: should be one of staged, linear, root, geometric, got 'cubic'"),
        ({"length": 0}, "length: should be at least 1, got 0"),
        ({"stages": 9}, "stages"),
        ({"pacing": "root", "start": 0.0}, r"start: should be a share of one, got 0\.0"),
        ({"pacing": "root", "duration": 2.0}, "duration: should be a share of one"),
        ({"replay": 1.0}, "replay: should be a share of one"),
        ({"pacing": "root", "order": "mixed"}, "no stages to mix with root pacing"),
        ({"order": "random", "replay": 0.1}, "order random has no earlier stage"),
        ({"order": "mixed", "replay": 0.1}, "order mixed has no earlier stage"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        CurriculumSampler([1.0, 2.0, 3.0], **settings)
