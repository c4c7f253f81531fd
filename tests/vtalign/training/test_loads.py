import pytest

from vtalign.models.families import Geometry
from vtalign.models.prompt import Prompt
from vtalign.training.loads import estimated_load, tokens_per_slot
from vtalign.training.schedule import Load
from vtalign.video.sample import FramePolicy
from vtalign.video.view import Slot, VideoView


def test_tokens_of_a_slot() -> None:
    patches = Geometry(multiple=28, temporal_patch=2)
    assert tokens_per_slot(FramePolicy(max_pixels=28 * 28 * 100, multiple=28), patches) == 50
    assert tokens_per_slot(FramePolicy(size=(56, 84), multiple=28), patches) == 3
    fixed = Geometry(size=(384, 384), tokens_per_frame=196, tokens_per_view=1)
    assert tokens_per_slot(FramePolicy(size=(384, 384), multiple=1), fixed) == 196


def test_the_load_of_an_example() -> None:
    view, other = (VideoView(tuple(Slot(video, frame, frame / 2) for frame in range(6)), 2.0) for video in "ab")
    prompt = Prompt((view, "12345678", other))
    assert estimated_load([prompt], ("1234", "12345678"), 50.0) == Load((view.view_id, other.view_id), 600, 5)
    second = Prompt((other, "1234"))
    assert estimated_load([prompt, second], ("1234",), 50.0) == Load((view.view_id, other.view_id, other.view_id), 900, 4)


@pytest.mark.parametrize("responses", [(), ("",)])
def test_an_example_without_text_still_counts(responses: tuple[str, ...]) -> None:
    assert estimated_load([Prompt(("a",))], responses, 50.0) == Load((), 0, 1)
