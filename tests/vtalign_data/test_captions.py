"""Which captions are asked: of single clips, and relative to the clip before, as the clean and the perturbed order have it."""

import pytest

from vtalign.video.perturb import PerturbationSpec
from vtalign.video.view import Slot, VideoView
from vtalign_data.captions import Asking, clip_requests
from vtalign_data.config import CaptionConfig
from vtalign_data.perturbations import make_perturbations

VIEW = VideoView(tuple(Slot("video-0", frame, frame / 2) for frame in range(12)), 2.0)
ROW = {
    "view_id": VIEW.view_id,
    "video_id": "video-0",
    "video": "a.mp4",
    "view": VIEW.to_json(),
    "sampling": "{}",
    "segments": [{"start": start, "stop": start + 4} for start in (0, 4, 8)],
}
SPECS = [PerturbationSpec(name="reverse", strength=3), PerturbationSpec(name="drop", strength=3)]
SINGLE = Asking(CaptionConfig(), "model-0", 0)
RELATIVE = Asking(CaptionConfig(relative=True), "model-0", 0)


@pytest.fixture
def rows():
    return make_perturbations([ROW], SPECS, 0).rows


def firsts(views) -> list[int | None]:
    return [view.slots[0].frame if view is not None else None for view in views]


def test_relative_captions_follow_the_order_that_is_shown(rows) -> None:
    clean = RELATIVE.clean(rows[0])
    told, turned = RELATIVE.told(clean), RELATIVE.told(RELATIVE.perturbed(rows[0], clean))
    assert firsts(request.clip for request in told) == [0, 4, 8]
    assert firsts(request.previous for request in told) == [None, 0, 4]
    assert firsts(request.clip for request in turned) == [8, 4, 0]
    assert firsts(request.previous for request in turned) == [None, 8, 4]
    # the first clip has nothing before it: it is described on its own, as questions need it
    assert told[0] == clean[0] and turned[0] == clean[2]
    assert len({request.request_id for request in (*clean, *told, *turned)}) == 3 + 2 + 2


def test_the_previous_clip_is_in_the_prompt(rows) -> None:
    clean = RELATIVE.clean(rows[0])
    first, second, _ = RELATIVE.told(clean)
    assert RELATIVE.request(first).prompt.parts == (clean[0].clip, CaptionConfig().prompt)
    parts = RELATIVE.request(second).prompt.parts
    assert parts[:2] == (clean[0].clip, clean[1].clip) and "second video" in parts[2]


def test_without_relative_captions_nothing_more_is_asked(rows) -> None:
    clean = SINGLE.clean(rows[0])
    assert SINGLE.told(clean) == clean
    assert clip_requests(rows, SINGLE) == clip_requests(rows, SINGLE, single=False) == clip_requests(rows, SINGLE, told=False)
    assert clip_requests(rows, SINGLE) == clip_requests(rows, RELATIVE, told=False)
    assert clip_requests(rows, RELATIVE, single=False, told=False) == []


def test_relative_requests_depend_on_all_that_decides_the_answer(rows) -> None:
    variants = [
        RELATIVE,
        Asking(CaptionConfig(relative=True, relative_prompt="{clip} after {previous} ?"), "model-0", 0),
        Asking(CaptionConfig(relative=True, temperature=0.7), "model-0", 0),
        Asking(CaptionConfig(relative=True), "model-1", 0),
        Asking(CaptionConfig(relative=True), "model-0", 1),
    ]
    assert len({asking.told(asking.clean(rows[0]))[1].request_id for asking in variants}) == len(variants)
    # the wording of relative prompts is not what single captions answer
    assert variants[1].clean(rows[0]) == RELATIVE.clean(rows[0])


def test_requests_are_the_same_whatever_the_order_of_the_rows(rows) -> None:
    assert clip_requests(rows[::-1], RELATIVE) == clip_requests(rows, RELATIVE)
