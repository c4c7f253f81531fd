from collections import Counter
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.curriculum.pacing import Growth, open_count, open_share, paced_order
from vtalign.curriculum.rounds import replays_among

GROWTHS = get_args(Growth)
growths, shares = st.sampled_from(GROWTHS), st.floats(0.001, 1)


@pytest.mark.parametrize(
    ("growth", "progress", "share"),
    [
        ("linear", 0.5, 0.625),  # 1/4 + 3/4 * 1/2
        ("root", 0.2, 0.5),  # sqrt(1/16 + 15/16 * 1/5) = sqrt(1/4)
        ("geometric", 0.5, 0.5),  # (1/4) ** (1/2)
    ],
)
def test_open_shares_by_hand(growth: Growth, progress: float, share: float) -> None:
    assert open_share(growth, progress, start=0.25) == pytest.approx(share)
    assert open_share(growth, progress / 2, start=0.25, duration=0.5) == pytest.approx(share)


@given(growths, shares, shares, st.floats(0, 1), st.floats(0, 1))
def test_a_share_grows_from_its_start_to_all(growth: Growth, start: float, duration: float, one: float, other: float) -> None:
    early, late = (open_share(growth, t, start=start, duration=duration) for t in sorted((one, other)))
    assert start - 1e-9 <= early <= late + 1e-9 and late <= 1 + 1e-9
    assert open_share(growth, 0, start=start, duration=duration) == pytest.approx(start)
    assert open_share(growth, duration, start=start, duration=duration) == pytest.approx(1)


@given(shares, st.floats(0, 1))
def test_root_opens_sooner_than_linear_and_geometric_later(start: float, progress: float) -> None:
    root, linear, geometric = (open_share(growth, progress, start=start) for growth in ("root", "linear", "geometric"))
    assert geometric - 1e-9 <= linear <= root + 1e-9


def test_open_pairs_are_rounded_up_and_at_least_one() -> None:
    assert [open_count(10, "linear", t, start=0.1) for t in (0, 0.01, 0.5, 1)] == [1, 2, 6, 10]
    assert open_count(10, "linear", 0, start=0.7) == 7 and open_count(3, "root", 0, start=0.01) == 1


@st.composite
def paced(draw: st.DrawFn) -> tuple[list[int], int, dict[str, Any]]:
    opening = draw(st.permutations(range(draw(st.integers(1, 25)))))
    length = draw(st.integers(1, 4 * len(opening)))
    settings = {"growth": draw(growths), "start": draw(shares), "duration": draw(shares), "seed": draw(st.integers(0, 9))}
    return opening, length, settings | {"replay": draw(st.sampled_from([0.0, 0.1, 0.5, 0.9]))}


@given(paced())
def test_what_comes_is_open_at_every_position(case: tuple[list[int], int, dict[str, Any]]) -> None:
    opening, length, settings = case
    order = paced_order(opening, length, **settings)
    place = {pair: number for number, pair in enumerate(opening)}
    pace = {name: settings[name] for name in ("growth", "start", "duration")}
    assert len(order) == length
    for position, pair in enumerate(order):
        assert place[pair] < open_count(len(opening), progress=position / length, **pace)


@given(paced())
def test_without_replay_a_round_ends_when_all_that_is_open_has_come(case: tuple[list[int], int, dict[str, Any]]) -> None:
    opening, length, settings = case
    order = paced_order(opening, length, **settings | {"replay": 0.0})
    pace = {name: settings[name] for name in ("growth", "start", "duration")}
    came: set[int] = set()
    for position, pair in enumerate(order):
        opened = set(opening[: open_count(len(opening), progress=position / length, **pace)])
        if came >= opened:
            came = set()
        assert pair not in came
        came.add(pair)


@given(paced())
def test_what_opens_first_never_comes_less_often_but_for_the_last_round(case: tuple[list[int], int, dict[str, Any]]) -> None:
    opening, length, settings = case
    times = Counter(paced_order(opening, length, **settings | {"replay": 0.0}))
    most_behind = 0
    for pair in opening[::-1]:
        most_behind = max(most_behind, times[pair])
        assert times[pair] >= most_behind - 1


@given(st.permutations(range(25)), st.sampled_from(["linear", "root"]), shares, shares, st.integers(0, 9))
def test_one_pass_meets_every_pair_once(opening: list[int], growth: Growth, start: float, duration: float, seed: int) -> None:
    order = paced_order(opening, 25, growth, start=start, duration=duration, replay=0.0, seed=seed)
    assert sorted(order) == list(range(25))


@given(paced())
def test_replays_come_when_they_are_due_and_there_is_something_to_replay(case: tuple[list[int], int, dict[str, Any]]) -> None:
    """Shorter than a pass and not slower than linear, nothing fresh comes twice: what does is a replay."""
    opening, length, settings = case
    length = min(length, len(opening))
    settings["growth"] = "root" if settings["growth"] == "root" else "linear"
    place = {pair: number for number, pair in enumerate(opening)}
    pace = {name: settings[name] for name in ("growth", "start", "duration")}
    came: set[int] = set()
    replays = 0
    for position, pair in enumerate(paced_order(opening, length, **settings)):
        first_half = (open_count(len(opening), progress=position / length, **pace) + 1) // 2
        familiar = {one for one in came if place[one] < first_half}
        due = replays_among(position + 1, settings["replay"]) > replays
        assert (pair in familiar) if due and familiar else (pair not in came)
        replays += pair in came
        came.add(pair)


def test_half_of_a_training_are_replays_of_the_easy_half() -> None:
    """Length of one pass, so that without replay nothing comes twice: what does is a replay."""
    order = paced_order(range(40), 40, "linear", start=0.5, duration=1.0, replay=0.5, seed=3)
    first = {pair: order.index(pair) for pair in order}
    replays = [position for position, pair in enumerate(order) if first[pair] != position]
    assert len(replays) == 20
    assert all(order[position] < (open_count(40, "linear", position / 40, start=0.5) + 1) // 2 for position in replays)
    assert all(abs(number - position / 2) <= 2 for number, position in enumerate(replays))
