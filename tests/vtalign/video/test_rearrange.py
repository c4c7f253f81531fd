from collections import Counter
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vtalign.errors import PerturbationError
from vtalign.video.change import events
from vtalign.video.perturb import PerturbationSpec, Segments, perturb
from vtalign.video.segments import temple_groups
from vtalign.video.view import Slot, VideoView

from .view_strategies import partitions, rising_views, views

STRENGTHS = st.sampled_from([2, 3, 4, 8])


def row(frames: list[int]) -> VideoView:
    return VideoView(tuple(Slot("video-a", frame, index / 2) for index, frame in enumerate(frames)), 2.0)


def frames(view: VideoView) -> list[int | None]:
    return [slot.frame for slot in view.slots]


@st.composite
def segmented(draw: st.DrawFn) -> tuple[VideoView, Segments]:
    view = draw(rising_views(min_slots=2))
    return view, draw(partitions(len(view)))


@given(segmented(), STRENGTHS, st.sampled_from(["even", "temple"]), st.integers(0, 5))
def test_shuffle_permutes_segments_and_keeps_the_clock(case: tuple[VideoView, Segments], r: int, groups: str, seed: int) -> None:
    view, bounds = case
    assume(len(bounds) >= r)
    result = perturb(view, PerturbationSpec(name="shuffle", strength=r, groups=groups), segments=bounds, seed=seed)
    sources = [after.source for after in result.segments_after]
    assert sorted(sources) == list(range(len(bounds))) and sources != sorted(sources)
    assert [after.changed for after in result.segments_after] == [False] * len(bounds)
    assert Counter(result.view.shown) == Counter(view.shown)
    assert [slot.time for slot in result.view.slots] == [slot.time for slot in view.slots]
    assert result.view.shown == tuple(c for s in sources for c in view.shown[slice(*bounds[s])])


@given(views(min_slots=2, max_slots=7))
def test_shuffle_is_refused_only_where_no_order_can_be_seen(view: VideoView) -> None:
    groups = len(view)
    possible = {tuple(view.shown[i] for i in order) for order in permutations(range(groups))} - {view.shown}
    spec = PerturbationSpec(name="shuffle", strength=groups)
    if possible:
        assert perturb(view, spec, seed=0).view.shown in possible
    else:
        with pytest.raises(PerturbationError, match="no_change"):
            perturb(view, spec, seed=0)


def test_shuffle_of_words_that_commute_though_they_differ() -> None:
    """`a` and `aa` are different groups, but both orders show `aaa`."""
    with pytest.raises(PerturbationError, match="no_change"):
        perturb(row([1, 1, 1]), PerturbationSpec(name="shuffle", strength=2), segments=((0, 1), (1, 3)), seed=0)


def test_shuffle_finds_the_rare_order_that_shows() -> None:
    """39 of 40 slots show the same: many draws are the identity on what is shown, and none of those may come out."""
    view = row([0] * 39 + [1])
    results = {perturb(view, PerturbationSpec(name="shuffle", strength=40), seed=seed).view.shown for seed in range(30)}
    assert view.shown not in results and len(results) > 10


def test_shuffle_draws_every_visible_order_about_equally() -> None:
    view = row(list(range(3)))
    count = Counter(tuple(frames(perturb(view, PerturbationSpec(name="shuffle", strength=3), seed=s).view)) for s in range(500))
    assert len(count) == 5 and min(count.values()) > 60  # expected 100 each


def test_shuffle_depends_on_the_groups_not_on_the_nominal_strength() -> None:
    view, clips = row(list(range(14))), tuple((2 * i, 2 * i + 2) for i in range(7))
    one, two = (
        perturb(view, PerturbationSpec(name="shuffle", strength=r, groups="temple"), segments=clips, seed=3) for r in (4, 7)
    )
    assert one.view == two.view


@given(segmented())
def test_reversing_segments_twice_is_the_identity(case: tuple[VideoView, Segments]) -> None:
    view, bounds = case
    assume(len(bounds) >= 2)
    spec = PerturbationSpec(name="reverse", strength=len(bounds))
    once = perturb(view, spec, segments=bounds, seed=0)
    assert perturb(once.view, spec, segments=once.bounds, seed=0).view == view
    assert [after.source for after in once.segments_after] == list(reversed(range(len(bounds))))
    assert not any(after.changed for after in once.segments_after)


@given(segmented(), st.integers(1, 9))
def test_playing_backwards_twice_is_the_identity_at_every_strength(case: tuple[VideoView, Segments], r: int) -> None:
    view, bounds = case
    spec = PerturbationSpec(name="reverse", strength=r, frames="reversed")
    once = perturb(view, spec, segments=bounds, seed=0)
    assert frames(once.view) == frames(view)[::-1]
    assert perturb(once.view, spec, segments=once.bounds, seed=0).view == view
    assert [slot.time for slot in once.view.slots] == [slot.time for slot in view.slots]
    for after in once.segments_after:
        assert once.view.shown[after.start : after.stop] == view.shown[slice(*bounds[after.source])][::-1]


@given(views(min_slots=2))
def test_a_palindrome_cannot_be_played_backwards(view: VideoView) -> None:
    doubled = VideoView(
        tuple(Slot(v or "video-a", f, i / 2, t) for i, (v, f, t) in enumerate(view.shown + view.shown[::-1])), view.fps
    )
    with pytest.raises(PerturbationError, match="no_change"):
        perturb(doubled, PerturbationSpec(name="reverse", strength=1, frames="reversed"), seed=0)


@given(rising_views(min_slots=2), STRENGTHS)
def test_temple_reverse_is_the_released_one(view: VideoView, r: int) -> None:
    """Group order reversed, inside kept (facts: generator_base.py), groups of max(1, n // r)."""
    assume(len(view) >= r)
    expected = [f for start, stop in reversed(temple_groups(len(view), r)) for f in frames(view)[start:stop]]
    assert frames(perturb(view, PerturbationSpec(name="reverse", strength=r, groups="temple"), seed=0).view) == expected


@given(segmented(), STRENGTHS, st.integers(0, 5))
def test_drop_keeps_some_segments_in_order_and_closes_ranks(case: tuple[VideoView, Segments], r: int, seed: int) -> None:
    view, bounds = case
    assume(len(bounds) >= r)
    try:
        result = perturb(view, PerturbationSpec(name="drop", strength=r), segments=bounds, seed=seed)
    except PerturbationError as error:
        # Only one-slot leftovers may stand in the way: no choice of segments would leave two frames.
        largest = sorted(stop - start for start, stop in bounds)[-(len(bounds) // r) :]
        assert "too_short" in str(error) and sum(largest) < 2
        return
    kept = [after.source for after in result.segments_after]
    assert kept == sorted(set(kept)) == result.parameters["kept"] and len(kept) == len(bounds) // r
    assert 2 <= len(result.view) < len(view)
    assert Counter(result.view.shown) <= Counter(view.shown)
    assert [slot.time for slot in result.view.slots] == [slot.time for slot in view.slots[: len(result.view)]]
    assert not any(after.changed for after in result.segments_after)


@given(views(min_slots=2), st.data(), STRENGTHS)
def test_drop_takes_something_away_that_was_to_be_seen(view: VideoView, data: st.DataObject, r: int) -> None:
    bounds = data.draw(partitions(len(view)))
    assume(len(bounds) >= r)
    try:
        result = perturb(view, PerturbationSpec(name="drop", strength=r), segments=bounds, seed=0)
    except PerturbationError:
        return
    assert events(result.view.shown) != events(view.shown)


def test_drop_finds_the_rare_choice_that_shows() -> None:
    """Two pictures, 16 slots each: nearly every half keeps both in order; only all of one or all of the other differs."""
    singles = tuple((i, i + 1) for i in range(32))
    result = perturb(row([0] * 16 + [1] * 16), PerturbationSpec(name="drop", strength=2), segments=singles, seed=0)
    assert len(set(frames(result.view))) == 1 and len(result.view) == 16


@given(segmented(), st.integers(0, 3))
def test_a_stronger_drop_leaves_no_more_segments(case: tuple[VideoView, Segments], seed: int) -> None:
    view, bounds = case
    left = []
    for r in (2, 3, 4, 8):
        try:
            left.append(len(perturb(view, PerturbationSpec(name="drop", strength=r), segments=bounds, seed=seed).segments_after))
        except PerturbationError:
            continue
    assert left == sorted(left, reverse=True)


@pytest.mark.parametrize("name", ["shuffle", "reverse", "drop"])
def test_fewer_segments_than_the_strength_are_too_few(name: str) -> None:
    view = row(list(range(12)))
    with pytest.raises(PerturbationError, match=f"{name}-4: too_short: needs 4 segments or more, there are 3"):
        perturb(view, PerturbationSpec(name=name, strength=4), segments=((0, 4), (4, 8), (8, 12)), seed=0)
    with pytest.raises(PerturbationError, match=f"{name}-16: too_short: needs 16 frames or more, the view has 12"):
        perturb(view, PerturbationSpec(name=name, strength=16), seed=0)


# local_shuffle


def local(r: int, units: str = "frames") -> PerturbationSpec:
    return PerturbationSpec(name="local_shuffle", strength=r, units=units)


@given(rising_views(min_slots=5), st.integers(2, 4), st.integers(0, 5))
def test_frames_stay_in_their_window(view: VideoView, r: int, seed: int) -> None:
    result = perturb(view, local(r), seed=seed)
    order = result.parameters["order"]
    assert sorted(order) == list(range(len(view))) and all(o // r == k // r for k, o in enumerate(order))
    for start in range(0, len(view) - 1, r):
        window = order[start : start + r]
        assert len(window) < 2 or window != sorted(window), "every window changes"
    inverse = [order.index(index) for index in range(len(order))]
    assert result.view.with_contents(inverse) == view


def test_windows_end_with_their_segment() -> None:
    view, bounds = row(list(range(10))), ((0, 3), (3, 10))
    for seed in range(20):
        order = perturb(view, local(4), segments=bounds, seed=seed).parameters["order"]
        windows = [order[0:3], order[3:7], order[7:10]]
        assert [sorted(window) for window in windows] == [[0, 1, 2], [3, 4, 5, 6], [7, 8, 9]]


def test_segments_in_windows() -> None:
    view, bounds = row(list(range(10))), ((0, 2), (2, 3), (3, 7), (7, 9), (9, 10))
    result = perturb(view, local(2, "segments"), segments=bounds, seed=0)
    assert frames(result.view) == [2, 0, 1, 7, 8, 3, 4, 5, 6, 9]  # windows of two have one other order
    assert [after.source for after in result.segments_after] == [1, 0, 3, 2, 4]
    assert not any(after.changed for after in result.segments_after)


def test_a_window_of_stills_stays_and_the_others_change() -> None:
    result = perturb(row([5, 5, 1, 2, 5, 5]), local(2), seed=0)
    assert frames(result.view) == [5, 5, 2, 1, 5, 5]
    with pytest.raises(PerturbationError, match="no_change: no window of 2 frames shows an order"):
        perturb(row([5, 5, 1, 1]), local(2), seed=0)


def test_other_orders_of_a_window_are_equally_likely() -> None:
    count = Counter(tuple(frames(perturb(row(list(range(4))), local(3), seed=s).view)[:3]) for s in range(500))
    assert len(count) == 5 and min(count.values()) > 60


@pytest.mark.parametrize(("units", "says"), [("frames", "more than 8 frames, there are 8"), ("segments", "more than 8 segments")])
def test_one_window_would_be_a_shuffle(units: str, says: str) -> None:
    with pytest.raises(PerturbationError, match=f"local_shuffle-8.*too_short: needs {says}"):
        perturb(row(list(range(8))), local(8, units), segments=((0, 8),), seed=0)
