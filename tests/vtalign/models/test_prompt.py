"""Prompts: JSON both ways, ids by content."""

from collections.abc import Callable

import pytest

from vtalign.errors import InputError
from vtalign.models.prompt import Prompt
from vtalign.video.view import VideoView


def test_json_both_ways_and_ids(make_view: Callable[..., VideoView]) -> None:
    prompt = Prompt(("before", make_view(), "after"))
    again = Prompt.from_json(prompt.to_json())
    assert again == prompt and hash(again) == hash(prompt) and again.prompt_id == prompt.prompt_id
    assert prompt.views == (make_view(),) and prompt.text == "before\nafter"
    others = [Prompt(("before", make_view(frames=5), "after")), Prompt(("before", make_view())), Prompt(())]
    assert len({prompt.prompt_id, *(other.prompt_id for other in others)}) == 4


def test_other_parts_are_refused() -> None:
    with pytest.raises(InputError, match="int"):
        Prompt(("a", 1))  # type: ignore[arg-type]
