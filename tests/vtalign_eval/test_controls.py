import pytest

from vtalign.errors import PerturbationError
from vtalign.video.view import Slot, VideoView
from vtalign_eval.controls import controlled


def view_of(*frames: int) -> VideoView:
    return VideoView(tuple(Slot("video-1", frame, index / 2) for index, frame in enumerate(frames)), 2.0)


VIEW = view_of(0, 4, 8, 12, 16, 20)


def frames(view: VideoView | None) -> list[int | None]:
    assert view is not None
    return [slot.frame for slot in view.slots]


def test_no_control_and_no_video() -> None:
    assert controlled(VIEW, "none", 0) is VIEW
    assert controlled(VIEW, "text", 0) is None


def test_one_frame_is_the_middle_one_in_every_slot_on_the_same_clock() -> None:
    shown = controlled(VIEW, "one-frame", 0)
    assert shown is not None and frames(shown) == [12] * 6
    assert [slot.time for slot in shown.slots] == [slot.time for slot in VIEW.slots]


def test_shuffled_keeps_frames_and_clock_and_depends_on_seed_and_video() -> None:
    shown = controlled(VIEW, "shuffled", 0)
    assert shown is not None and shown == controlled(VIEW, "shuffled", 0)
    assert sorted(frames(shown), key=int) == frames(VIEW) != frames(shown)
    assert [slot.time for slot in shown.slots] == [slot.time for slot in VIEW.slots]
    assert len({tuple(frames(controlled(VIEW, "shuffled", seed))) for seed in range(8)}) > 1


def test_reversed_twice_is_the_view() -> None:
    shown = controlled(VIEW, "reversed", 0)
    assert shown is not None and frames(shown) == frames(VIEW)[::-1]
    assert controlled(shown, "reversed", 0) == VIEW


@pytest.mark.parametrize("control", ["shuffled", "reversed"])
@pytest.mark.parametrize("still", [view_of(3, 3, 3), view_of(3)])
def test_a_still_has_no_order_to_take_away(control: str, still: VideoView) -> None:
    with pytest.raises(PerturbationError):
        controlled(still, control, 0)  # type: ignore[arg-type]
