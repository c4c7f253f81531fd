from collections import Counter
from itertools import pairwise

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


def spec(factor: int, direction: str = "fast", affected: str = "all") -> PerturbationSpec:
    return PerturbationSpec(name="speed", strength=factor, direction=direction, affected=affected)


def test_fast_skips_by_hand() -> None:
    assert frames(perturb(row([0, 4, 8, 12, 16]), spec(2), seed=0).view) == [0, 8, 16]


def test_slow_shows_what_lies_between_by_hand() -> None:
    # Positions 0, 1/3, 2/3, 1, .. in slots of 6 frames: 0, 2, 4, 6, ..; nothing lies past the last slot, which repeats.
    assert frames(perturb(row([0, 6, 12]), spec(3, "slow"), seed=0).view) == [0, 2, 4, 6, 8, 10, 12, 12, 12]


def test_slow_repeats_where_the_source_has_nothing_between() -> None:
    assert frames(perturb(row([0, 1, 2]), spec(4, "slow"), seed=0).view) == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]


def test_slow_does_not_invent_frames_between_blanks_videos_or_transforms() -> None:
    view = VideoView(
        (
            Slot("video-a", 0, 0.0),
            Slot("video-a", None, 0.5),
            Slot("video-b", 8, 1.0),
            Slot("video-b", 16, 1.5, FrameTransform("blur")),
        ),
        2.0,
    )
    assert frames(perturb(view, spec(2, "slow"), seed=0).view) == [0, 0, None, None, 8, 8, 16, 16]


def test_slow_works_on_a_view_that_runs_backwards() -> None:
    assert frames(perturb(row([12, 6, 0]), spec(2, "slow"), seed=0).view) == [12, 9, 6, 3, 0, 0]


@given(rising_views(min_slots=5), st.integers(2, 4))
def test_fast_content_rises_and_is_of_the_view(view: VideoView, factor: int) -> None:
    result = perturb(view, spec(factor), seed=0)
    assert len(result.view) == -(-len(view) // factor)
    assert all(a < b for a, b in pairwise(frames(result.view)))
    assert Counter(result.view.shown) <= Counter(view.shown)
    assert [s.time for s in result.view.slots] == [s.time for s in view.slots[: len(result.view)]]


@given(rising_views(), st.integers(2, 4))
def test_slow_content_rises_and_stays_within_the_view(view: VideoView, factor: int) -> None:
    result = perturb(view, spec(factor, "slow"), seed=0)
    new = frames(result.view)
    assert len(new) == factor * len(view) and all(a <= b for a, b in pairwise(new))
    assert new[::factor] == frames(view), "every slot of the clean view is met on time"
    steps = [b - a for a, b in pairwise(new[: -factor + 1])]
    for gap, slow in zip((b - a for a, b in pairwise(frames(view))), zip(*[iter(steps)] * factor, strict=True), strict=True):
        assert sum(slow) == gap and max(slow) - min(slow) <= 1, "evenly spread; a repeat only where the source runs out"
    assert all(b - a == pytest.approx(0.5) for a, b in pairwise(s.time for s in result.view.slots))


@given(rising_views(), st.integers(2, 4))
def test_slow_then_fast_shows_the_clean_view_again(view: VideoView, factor: int) -> None:
    slow = perturb(view, spec(factor, "slow"), seed=0)
    assert perturb(slow.view, spec(factor), seed=0).view.shown == view.shown


@given(rising_views(min_slots=12), st.integers(0, 20), st.sampled_from(["fast", "slow"]))
def test_one_segment_changes_speed_and_the_others_stay(view: VideoView, seed: int, direction: str) -> None:
    bounds = ((0, 4), (4, 8), (8, len(view)))
    result = perturb(view, spec(2, direction, "one"), segments=bounds, seed=seed)
    changed = [after.source for after in result.segments_after if after.changed]
    assert changed == result.parameters["segments"] and len(changed) == 1
    assert [after.source for after in result.segments_after] == [0, 1, 2]


def test_every_segment_gets_its_turn() -> None:
    bounds = ((0, 4), (4, 8), (8, 12))
    drawn = {
        perturb(row(list(range(12))), spec(2, "fast", "one"), segments=bounds, seed=s).parameters["segments"][0]
        for s in range(40)
    }
    assert drawn == {0, 1, 2}


def test_one_leaves_stills_and_short_segments_alone() -> None:
    view = row([0, 0, 0, 0, 1, 2, 3, 4, 5, 6])
    bounds = ((0, 4), (4, 8), (8, 10))
    assert {perturb(view, spec(2, "fast", "one"), segments=bounds, seed=s).parameters["segments"][0] for s in range(20)} == {1}


@pytest.mark.parametrize("direction", ["fast", "slow"])
@pytest.mark.parametrize("affected", ["all", "one"])
def test_an_invisible_speed_is_refused(direction: str, affected: str) -> None:
    """Segments that each stand still: their speed cannot be seen, though the view changes from one to the next."""
    stills = row([7] * 6 + [9] * 6)
    with pytest.raises(PerturbationError, match="no_change: every segment is a still"):
        perturb(stills, spec(2, direction, affected), segments=((0, 6), (6, 12)), seed=0)


@pytest.mark.parametrize("affected", ["all", "one"])
def test_a_fast_segment_must_keep_two_frames(affected: str) -> None:
    with pytest.raises(PerturbationError, match=r"speed-4.*too_short: needs segments of more than 4 frames, the shortest has 3"):
        perturb(row([0, 1, 2, 3, 4, 5, 6]), spec(4, "fast", affected), segments=((0, 3), (3, 7)), seed=0)
