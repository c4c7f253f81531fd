import pytest

from vtalign.errors import PerturbationError
from vtalign.video.sample import FramePolicy
from vtalign.video.view import Slot, VideoView
from vtalign_eval.controls import controlled


def view_of(*frames: int) -> VideoView:
    return VideoView(tuple(Slot("video-1", frame, index / 2) for index, frame in enumerate(frames)), 2.0)


VIEW = view_of(0, 4, 8, 12, 16, 20)
POLICY = FramePolicy(min_frames=2)


def frames(view: VideoView | None) -> list[int | None]:
    assert view is not None
    return [slot.frame for slot in view.slots]


def test_no_control_and_no_video() -> None:
    assert controlled(VIEW, "none", 0, POLICY) is VIEW
    assert controlled(VIEW, "text", 0, POLICY) is None


@pytest.mark.parametrize("fewest", [1, 2, 4])
def test_one_frame_is_the_middle_one_shown_as_briefly_as_the_policy_allows(fewest: int) -> None:
    shown = controlled(VIEW, "one-frame", 0, FramePolicy(min_frames=fewest))
    assert shown is not None and frames(shown) == [12] * fewest
    assert shown.slots[0].time == 0 and shown.fps == VIEW.fps


def test_a_repeated_frame_is_the_middle_one_in_every_slot_on_the_same_clock() -> None:
    shown = controlled(VIEW, "repeated-frame", 0, POLICY)
    assert shown is not None and frames(shown) == [12] * 6
    assert [slot.time for slot in shown.slots] == [slot.time for slot in VIEW.slots]


def test_shuffled_keeps_frames_and_clock_and_depends_on_seed_and_video() -> None:
    shown = controlled(VIEW, "shuffled", 0, POLICY)
    assert shown is not None and shown == controlled(VIEW, "shuffled", 0, POLICY)
    assert sorted(frames(shown), key=int) == frames(VIEW) != frames(shown)
    assert [slot.time for slot in shown.slots] == [slot.time for slot in VIEW.slots]
    assert len({tuple(frames(controlled(VIEW, "shuffled", seed, POLICY))) for seed in range(8)}) > 1


def test_reversed_twice_is_the_view() -> None:
    shown = controlled(VIEW, "reversed", 0, POLICY)
    assert shown is not None and frames(shown) == frames(VIEW)[::-1]
    assert controlled(shown, "reversed", 0, POLICY) == VIEW


@pytest.mark.parametrize("control", ["shuffled", "reversed"])
@pytest.mark.parametrize("still", [view_of(3, 3, 3), view_of(3)])
def test_a_still_has_no_order_to_take_away(control: str, still: VideoView) -> None:
    with pytest.raises(PerturbationError):
        controlled(still, control, 0, POLICY)  # type: ignore[arg-type]


def test_a_shuffle_is_drawn_from_the_content_of_the_video() -> None:
    """The same for the same frames, wherever and whenever; another video gets an order of its own."""
    other = VideoView(tuple(Slot("video-2", slot.frame, slot.time) for slot in VIEW.slots), VIEW.fps)
    orders = [tuple(frames(controlled(view, "shuffled", seed, POLICY))) for view in (VIEW, other) for seed in range(6)]
    assert len(set(orders[:6])) > 1 and orders[:6] != orders[6:]
    assert frames(controlled(view_of(0, 4, 8, 12, 16, 20), "shuffled", 3, POLICY)) == list(orders[3])
