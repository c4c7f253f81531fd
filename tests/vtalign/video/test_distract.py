"""`insert_distractor`: part of another video, where it is drawn to be, and never of the same one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.errors import PerturbationError
from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.view import Slot, VideoView

from .view_strategies import rising_views

CLIPS = ((0, 2), (2, 5), (5, 6), (6, 10))


def row(video_id: str, length: int, fps: float = 2.0) -> VideoView:
    return VideoView(tuple(Slot(video_id, 10 * index, index / fps) for index in range(length)), fps)


def spec(strength: int, place: str = "replace") -> PerturbationSpec:
    return PerturbationSpec(name="insert_distractor", strength=strength, place=place)


OWN, OTHER = row("video-a", 10), row("video-b", 40)


@pytest.mark.parametrize(("strength", "count"), [(2, 1), (4, 2), (6, 3)])
def test_segments_are_replaced(strength: int, count: int) -> None:
    for seed in range(10):
        result = perturb(OWN, spec(strength), segments=CLIPS, seed=seed, distractors=[OTHER])
        segments, start = result.parameters["segments"], result.parameters["from_slot"]
        assert len(segments) == count and result.parameters["videos"] == ["video-b"]
        begin, end = CLIPS[segments[0]][0], CLIPS[segments[-1]][1]
        assert result.view.slots[:begin] + result.view.slots[end:] == OWN.slots[:begin] + OWN.slots[end:]
        inserted = result.view.slots[begin:end]
        assert [slot.frame for slot in inserted] == [10 * (start + index) for index in range(end - begin)]
        assert {slot.video_id for slot in inserted} == {"video-b"} and result.bounds == CLIPS
        assert [after.source for after in result.segments_after if after.changed] == segments


def test_or_followed() -> None:
    result = perturb(OWN, spec(2, "after"), segments=CLIPS, seed=3, distractors=[OTHER])
    (segment,) = result.parameters["segments"]
    begin, end = CLIPS[segment]
    length = end - begin
    assert result.view.clip(0, end) == OWN.clip(0, end)
    assert result.view.slots[end].video_id == "video-b" and len(result.view) == 10 + length
    after = [slot.content for slot in result.view.slots[end + length :]]
    assert after == [slot.content for slot in OWN.slots[end:]]
    assert [a.source for a in result.segments_after] == sorted([0, 1, 2, 3, segment])
    assert [a.changed for a in result.segments_after].count(True) == 1
    # take what was inserted out again, and it is the view it was
    rest = result.view.slots[:end] + result.view.slots[end + length :]
    assert [slot.content for slot in rest] == [slot.content for slot in OWN.slots]


def test_a_short_distractor_is_held() -> None:
    result = perturb(OWN, spec(6), segments=CLIPS, seed=0, distractors=[row("video-b", 2)])
    shown = [slot.frame for slot in result.view.slots if slot.video_id == "video-b"]
    half = -(-len(shown) // 2)
    assert shown == [0] * half + [10] * (len(shown) - half)


@given(rising_views(min_slots=16), st.integers(0, 5), st.permutations(["video-b", "video-c", "video-d", "video-e"]))
def test_the_choice_does_not_depend_on_the_order(view: VideoView, seed: int, names: list[str]) -> None:
    offered = [row(name, 20) for name in names]
    chosen = perturb(view, spec(4), seed=seed, distractors=offered)
    assert chosen == perturb(view, spec(4), seed=seed, distractors=sorted(offered, key=lambda other: other.view_id))


def test_all_distractors_and_places_get_their_turn() -> None:
    offered = [row(f"video-{name}", 20) for name in "bcd"]
    done = [perturb(OWN, spec(2), segments=CLIPS, seed=s, distractors=offered).parameters for s in range(60)]
    assert {videos for one in done for videos in one["videos"]} == {"video-b", "video-c", "video-d"}
    assert {one["segments"][0] for one in done} == {0, 1, 2, 3} and len({one["from_slot"] for one in done}) > 5


BLACK = VideoView((Slot("video-b", None, 0.0), Slot("video-b", None, 0.5)), 2.0)


@pytest.mark.parametrize("offered", [[], [row("video-a", 20)], [BLACK]], ids=["none", "the same video", "nothing to see"])
def test_no_other_video(offered: list[VideoView]) -> None:
    with pytest.raises(PerturbationError, match="insert_distractor-2: no_distractor: "):
        perturb(OWN, spec(2), segments=CLIPS, seed=0, distractors=offered)


def test_something_of_its_own_must_stay() -> None:
    with pytest.raises(PerturbationError, match="too_short: needs more than 4 segments, there are 4"):
        perturb(OWN, spec(8), segments=CLIPS, seed=0, distractors=[OTHER])
