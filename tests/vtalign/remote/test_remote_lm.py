import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vtalign.models.prompt import Prompt
from vtalign.models.requests import Generation, Request
from vtalign.remote.config import VideoServerSettings
from vtalign.remote.remote_lm import RemoteLM
from vtalign.remote.requests import ServerError
from vtalign.video.sample import FramePolicy
from vtalign.video.view import Slot, VideoView

from ...chat_servers import echoed


class Numbered:
    """A frame source whose frames show their number as brightness; notes which views it is asked for."""

    def __init__(self) -> None:
        self.asked: list[VideoView] = []

    def frames(self, view: VideoView) -> NDArray[np.uint8]:
        self.asked.append(view)
        return np.stack([np.full((8, 8, 3), slot.frame or 0, np.uint8) for slot in view.slots])


def view_of(*frames: int) -> VideoView:
    return VideoView(tuple(Slot("v", frame, number / 2) for number, frame in enumerate(frames)), 2.0)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RemoteLM]:
    monkeypatch.setattr("vtalign.remote.server._FIRST_WAIT", 0.005)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def make(url: str, **settings: Any) -> RemoteLM:
        return RemoteLM("echo", VideoServerSettings(url=url, **settings), FramePolicy())

    return make


def prompts(count: int) -> list[Request]:
    return [Request(Prompt((view_of(n % 3, 5, 5), f"which {n} ?")), 4) for n in range(count)]


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_generations_are_in_order_whatever_the_batch_size(
    remote: Callable[..., RemoteLM], chat_echo: Callable[..., Any], batch_size: int
) -> None:
    server = chat_echo()
    lm, told = remote(server.url), {}
    made = lm.generations(
        prompts(20), Numbered(), batch_size=batch_size, on_made=lambda places, made: told.update(zip(places, made, strict=True))
    )
    by_question = {json.dumps(body["messages"]): echoed(body["messages"]) for body in server.bodies}
    for number, generation in enumerate(made):
        (messages,) = (key for key in by_question if f"which {number} ?" in key)
        assert generation == Generation(by_question[messages], 4, "end")
    assert [told[place] for place in range(20)] == made
    assert lm.generations([], Numbered()) == []


def test_a_view_is_read_once_for_all_questions_of_a_batch(remote: Callable[..., RemoteLM], chat_echo: Callable[..., Any]) -> None:
    source = Numbered()
    remote(chat_echo().url).generations(prompts(20), source)
    assert source.asked == [view_of(0, 5, 5), view_of(1, 5, 5), view_of(2, 5, 5)]


def test_a_greedy_request_has_no_seed_and_a_sampled_one_has(
    remote: Callable[..., RemoteLM], chat_echo: Callable[..., Any]
) -> None:
    server = chat_echo()
    requests = [Request(Prompt(("hi",)), 4, temperature, seed=9) for temperature in (0.0, 0.5)]
    remote(server.url, concurrency=1).generations(requests, Numbered())
    greedy, sampled = sorted(server.bodies, key=lambda body: body["temperature"])
    assert "seed" not in greedy and (sampled["temperature"], sampled["seed"]) == (0.5, 9)


def test_a_failed_request_is_an_error_in_its_place(
    remote: Callable[..., RemoteLM], chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any]
) -> None:
    proxy = fault_proxy(chat_echo().url, share=0.5, faults=["html"])
    made = remote(proxy.url, retries=0).generations(prompts(12), Numbered())
    failed = [number for number, generation in enumerate(made) if isinstance(generation, ServerError)]
    assert len(failed) == proxy.met["html"] and 0 < len(failed) < 12
    assert all(f"which {number} ?" not in json.dumps(proxy.passed) for number in failed)


def test_the_fingerprint_is_of_the_model_and_what_it_is_shown() -> None:
    def fingerprint(name: str = "m", policy: FramePolicy | None = None, **settings: Any) -> str:
        return RemoteLM(name, VideoServerSettings(**{"url": "http://a/v1", **settings}), policy or FramePolicy()).fingerprint

    assert fingerprint() == fingerprint(url="http://b/v1", concurrency=2, retries=0, timeout_s=9, key_env="KEY")
    others = {fingerprint("n"), fingerprint(policy=FramePolicy(fps=1)), fingerprint(images="png")}
    assert len(others | {fingerprint()}) == 4
