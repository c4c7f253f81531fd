"""`mask`, `segment_exclude` and `sparse_subsample`: what is hidden, and that the clock does not tell."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.errors import PerturbationError
from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.view import FrameTransform, Slot, VideoView

from .view_strategies import rising_views


def row(frames: list[int | None]) -> VideoView:
    return VideoView(tuple(Slot("video-a", frame, index / 2) for index, frame in enumerate(frames)), 2.0)


def frames(view: VideoView) -> list[int | None]:
    return [slot.frame for slot in view.slots]


def mask(strength: int) -> PerturbationSpec:
    return PerturbationSpec(name="mask", strength=strength)


def exclude(strength: int, **seconds: float) -> PerturbationSpec:
    return PerturbationSpec(name="segment_exclude", strength=strength, **seconds)


# mask


@pytest.mark.parametrize(("strength", "blanks"), [(2, 4), (4, 8), (8, 16), (15, 30)])
def test_a_mask_of_sixteenths(strength: int, blanks: int) -> None:
    """RRPO's 25 to 50 % are the strengths 4 to 8."""
    result = perturb(row(list(range(32))), mask(strength), seed=1)
    assert frames(result.view).count(None) == blanks
    assert [index for index, frame in enumerate(frames(result.view)) if frame is None] == result.parameters["masked"]


@given(rising_views(), st.integers(2, 15), st.integers(0, 5))
def test_what_is_not_masked_stays_where_it_was(view: VideoView, strength: int, seed: int) -> None:
    masked = perturb(view, mask(strength), seed=seed).view
    assert all(after == before or after.frame is None for before, after in zip(view.slots, masked.slots, strict=True))
    assert 1 <= frames(masked).count(None) < len(view)
    if strength < 15:
        more = perturb(view, mask(strength + 1), seed=seed).view
        hidden = [{i for i, frame in enumerate(frames(v)) if frame is None} for v in (masked, more)]
        assert hidden[0] <= hidden[1], "a higher strength hides what a lower one hides"


def test_frames_that_are_black_already_are_not_counted() -> None:
    view = row([0, None, 1, None, 2, None, 3, None])
    masked = perturb(view, mask(8), seed=0).view
    assert frames(masked).count(None) == 4 + 2


def test_a_masked_frame_is_plain_black() -> None:
    noise = FrameTransform("noise", 1)
    view = VideoView(tuple(Slot("video-a", index, index / 2, noise) for index in range(8)), 2.0)
    assert all((slot.frame is None) == (slot.transform is None) for slot in perturb(view, mask(8), seed=0).view.slots)


def test_every_frame_gets_its_turn() -> None:
    drawn = Counter(perturb(row(list(range(8))), mask(2), seed=seed).parameters["masked"][0] for seed in range(200))
    assert set(drawn) == set(range(8)) and max(drawn.values()) < 50


def test_a_view_with_one_frame_to_see_is_too_short() -> None:
    with pytest.raises(PerturbationError, match="mask-2: too_short: needs two frames that show something, the view has 1"):
        perturb(row([None, 4, None]), mask(2), seed=0)


# segment_exclude

CLIPS = ((0, 2), (2, 5), (5, 6), (6, 10))


@pytest.mark.parametrize(("strength", "gone"), [(2, 1), (3, 1), (4, 2), (6, 3)])
def test_neighbouring_segments_go(strength: int, gone: int) -> None:
    view = row(list(range(10)))
    for seed in range(10):
        result = perturb(view, exclude(strength), segments=CLIPS, seed=seed)
        excluded = result.parameters["excluded"]
        assert excluded == list(range(excluded[0], excluded[0] + gone))
        left = [index for clip, (a, b) in enumerate(CLIPS) if clip not in excluded for index in range(a, b)]
        assert frames(result.view) == left
        assert [slot.time for slot in result.view.slots] == [slot.time for slot in view.slots[: len(left)]], "no gap tells"
        assert [after.source for after in result.segments_after] == [c for c in range(4) if c not in excluded]


def test_every_segment_may_go() -> None:
    view = row(list(range(10)))
    drawn = {perturb(view, exclude(2), segments=CLIPS, seed=seed).parameters["excluded"][0] for seed in range(40)}
    assert drawn == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("start", "stop", "gone"),
    # clips show 0-1 s, 1-2.5 s, 2.5-3 s and 3-5 s
    [(1.2, 1.4, [1]), (1.0, 2.5, [1]), (0.9, 1.1, [0, 1]), (2.6, 3.5, [2, 3]), (4.9, 99.0, [3])],
)
def test_the_segments_that_show_some_seconds_go(start: float, stop: float, gone: list[int]) -> None:
    result = perturb(row(list(range(10))), exclude(2, start=start, stop=stop), segments=CLIPS, seed=0)
    assert result.parameters == {"excluded": gone, "of": 4}


def test_seconds_beyond_the_view() -> None:
    with pytest.raises(PerturbationError, match="the view ends at 5 s, before"):
        perturb(row(list(range(10))), exclude(2, start=5.0, stop=6.0), segments=CLIPS, seed=0)
    with pytest.raises(PerturbationError, match="less than two frames"):
        perturb(row(list(range(10))), exclude(2, start=0.0, stop=6.0), segments=CLIPS, seed=0)


def test_what_repeats_is_not_what_goes() -> None:
    """Segments that repeat the one before could go without anything being missed."""
    view = row([0, 1, 1, 1, 1, 1])
    singles = tuple((index, index + 1) for index in range(6))
    assert {perturb(view, exclude(2), segments=singles, seed=seed).parameters["excluded"][0] for seed in range(20)} == {0}


def test_all_segments_cannot_go() -> None:
    with pytest.raises(PerturbationError, match="segment_exclude-8: too_short: needs more than 4 segments, there are 4"):
        perturb(row(list(range(10))), exclude(8), segments=CLIPS, seed=0)


# sparse_subsample


def test_sparse_holds_by_hand() -> None:
    spec = PerturbationSpec(name="sparse_subsample", strength=3)
    assert frames(perturb(row(list(range(8))), spec, seed=0).view) == [0, 0, 0, 3, 3, 3, 6, 6]
    # a segment does not show what the one before it showed
    assert frames(perturb(row(list(range(8))), spec, segments=((0, 4), (4, 8)), seed=0).view) == [0, 0, 0, 3, 4, 4, 4, 7]


@given(rising_views(), st.integers(2, 16))
def test_a_sparse_view_keeps_length_and_time(view: VideoView, strength: int) -> None:
    spec = PerturbationSpec(name="sparse_subsample", strength=strength)
    sparse = perturb(view, spec, seed=0).view
    assert len(sparse) == len(view)
    shown_at = {slot.frame: slot.time for slot in view.slots}
    lags = [slot.time - shown_at[slot.frame] for slot in sparse.slots]
    assert all(0 <= lag <= (strength - 1) / 2 for lag in lags), "nothing is shown before its time, nor long after"
    assert [lag for index, lag in enumerate(lags) if index % strength == 0] == [0] * -(-len(view) // strength)
    with pytest.raises(PerturbationError, match="no_change"):
        perturb(sparse, spec, seed=0)
