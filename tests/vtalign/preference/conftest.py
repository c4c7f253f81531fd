from collections.abc import Callable
from typing import Any

import pytest

from vtalign.ids import stable_id
from vtalign.preference.pair import AppliedPerturbation, PreferencePair, group_id_of
from vtalign.video.view import Slot, VideoView


@pytest.fixture
def make_view() -> Callable[[list[int | None]], VideoView]:
    def make(frames: list[int | None]) -> VideoView:
        return VideoView(tuple(Slot("video-0", frame, k / 2) for k, frame in enumerate(frames)), 2.0)

    return make


@pytest.fixture
def make_pair(make_view: Callable[[list[int | None]], VideoView]) -> Callable[..., PreferencePair]:
    def make(**changes: Any) -> PreferencePair:
        view = changes.pop("view", make_view([0, 1]))
        fields: dict[str, Any] = {
            "video_id": "video-0",
            "video": "a/b.mp4",
            "view_id": view.view_id,
            "view": view,
            "prompt": "What happens?",
            "chosen": "a then b",
            "rejected": "b then a",
            "source": "self",
            "sampling": {"policy": {"fps": 2.0}, "reader": "pyav"},
            "perturbation": AppliedPerturbation("shuffle", 2, 7, {"done": {"order": [1, 0]}}),
            "difficulty": 0.5,
            **changes,
        }
        group_id = group_id_of(fields["view_id"], fields["prompt"], fields["chosen"])
        return PreferencePair(pair_id=stable_id("pair", group_id, fields["rejected"]), group_id=group_id, **fields)

    return make
