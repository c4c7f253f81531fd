"""The pure parts of `benchmarks/pipeline.py`: which requests a peer is asked, which shots are joined, and what is compared."""

import importlib
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vtalign.errors import InputError
from vtalign.video.view import Slot, VideoView


@pytest.fixture(scope="module")
def load(project_root: Path) -> Iterator[Any]:
    """Imports a module of the folder, which is on the path meanwhile."""
    folder = str(project_root / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def requests(load: Any) -> ModuleType:
    return load("pipeline_requests")


def test_a_request_names_the_frames_of_its_view_in_their_order(requests: ModuleType) -> None:
    shown = VideoView((Slot("v", 30, 0.0), Slot("v", 10, 0.5), Slot("v", 30, 1.0)), 2.0)
    assert requests.ordinals(shown.to_json()) == (30, 10, 30)
    work = requests.VideoWork("a.mp4", (10, 20, 30), (), ())
    assert work.places((30, 10, 30)) == [2, 0, 2]
    with pytest.raises(ValueError, match="blank"):
        requests.ordinals(VideoView((Slot("v", None, 0.0),), 2.0).to_json())


def test_each_sequence_of_descriptions_is_merged_once(requests: ModuleType) -> None:
    rows = [
        {"video": "a.mp4", "chosen_requests": ["1", "2"], "rejected_requests": ["2", "1"]},
        {"video": "a.mp4", "chosen_requests": ["1", "2"], "rejected_requests": ["2"]},
        {"video": "b.mp4", "chosen_requests": ["1", "2"], "rejected_requests": ["2", "1"]},
    ]
    merged = requests.merged(rows, "Merge:\n{captions}")
    assert [(video, asked.told) for video, asked in merged] == [
        ("a.mp4", ("1", "2")),
        ("a.mp4", ("2", "1")),
        ("a.mp4", ("2",)),
        ("b.mp4", ("1", "2")),
        ("b.mp4", ("2", "1")),
    ]
    assert merged[1][1].filled({"1": "a dog runs.", "2": " a cat  sits"}) == "Merge:\na cat sits\na dog runs"


def test_work_survives_json(requests: ModuleType) -> None:
    asked = requests.Asked("r", "what?", (1, 2), ())
    merged = requests.Asked("m", "{captions}", (), ("r",))
    work = requests.VideoWork("a.mp4", (1, 2), (asked,), (asked, merged))
    assert requests.VideoWork.from_dict(json.loads(json.dumps(work.to_dict()))) == work


def test_neighbouring_shots_come_from_different_files(load: Any) -> None:
    videos = load("pipeline_videos")
    sources = [videos.Source(Path(name), 4.0 * number) for name in "abc" for number in range(9)]
    plan = videos.Plan(2, 21, 4.0, 360)
    chosen = [videos.choose(sources, plan, number) for number in range(2)]
    for shots in chosen:
        assert len(shots) == 21
        assert all(one.path != other.path for one, other in pairwise(shots))
    assert chosen[0] != chosen[1] and chosen[0] == videos.choose(sources, plan, 0)
    with pytest.raises(InputError, match="21 are needed"):
        videos.choose(sources[:9], plan, 0)


def _made(calls: int, written: int, read: int) -> dict[str, Any]:
    usage = {"model_calls": calls, "generated_tokens": written, "prompt_tokens": read, "decodes": 3}
    scoring = {"model_calls": 5, "generated_tokens": 0, "prompt_tokens": 0, "decodes": 1}
    return {"usages": {"06b-view-responses": usage, "10-score": scoring}, "usage": usage}


def test_sides_that_did_other_work_are_refused(load: Any, requests: ModuleType) -> None:
    pipeline = load("pipeline")
    asked = tuple(requests.Asked(str(number), "what?", (number,)) for number in range(13))
    works = [requests.VideoWork("a.mp4", (1,), (), asked)]
    pipeline.check_same(_made(13, 130, 1000), _made(13, 130, 1000), works, "video")  # scores are not compared
    with pytest.raises(SystemExit, match="generated_tokens 130 in ours, 140"):
        pipeline.check_same(_made(13, 130, 1000), _made(13, 140, 1000), works, "video")
    with pytest.raises(SystemExit, match="prompt_tokens"):
        pipeline.check_same(_made(13, 130, 1000), _made(13, 130, 1001), works, "video")
    pipeline.check_same(_made(13, 130, 1000), _made(13, 130, 1001), works, "caption")
    with pytest.raises(SystemExit, match="9 responses to a video, not 13"):
        pipeline.check_same(
            _made(13, 130, 1000), _made(13, 130, 1000), [requests.VideoWork("a.mp4", (1,), (), asked[:9])], "video"
        )
