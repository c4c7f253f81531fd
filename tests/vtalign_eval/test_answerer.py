"""`eval run` with a model behind an OpenAI-compatible server."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from vtalign.errors import InputError, RunFailed
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.sample import FramePolicy
from vtalign_eval.benchmarks.temporal_shapes import load
from vtalign_eval.config import Control, EvalConfig
from vtalign_eval.items import Item
from vtalign_eval.run import run_eval
from vtalign_eval.views import show

Make = Callable[..., EvalConfig]
SAMPLES = "samples_temporal-shapes.jsonl"


@pytest.fixture
def make_remote(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> Make:
    """(url, settings of the server, other settings) -> a config for the model `echo`; short waits between two tries."""
    monkeypatch.setattr("vtalign.remote.server._FIRST_WAIT", 0.005)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def make(url: str, server: dict[str, Any] | None = None, **changes: Any) -> EvalConfig:
        return make_config(**{"model": "echo", "server": {"url": url, "timeout_s": 0.5, **(server or {})}, **changes})

    return make


def measured(folder: Path) -> tuple[str, str]:
    """All that a run concluded, but for where and how fast it was asked."""
    results = json.loads((folder / "results.json").read_text())
    for config in (results["config"], results["vtalign"]["config"]):
        del config["batch_size"]
        config["server"] = config["server"]["images"]
    return json.dumps(results, sort_keys=True), (folder / SAMPLES).read_text()


def images_in(body: dict[str, Any]) -> np.ndarray:
    """uint8 (T, H, W, 3): what a server was shown."""
    (message,) = body["messages"]
    urls = [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]
    return np.stack([np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))) for url in urls])


def text_in(body: dict[str, Any]) -> str:
    (message,) = body["messages"]
    return message["content"] if isinstance(message["content"], str) else message["content"][-1]["text"]


def frames_of(data: Path, items: list[Item], policy: FramePolicy, control: Control) -> list[np.ndarray]:
    """What the store shows of the distinct videos of `items`."""
    with DecodeWorkers(1) as workers:
        videos = sorted({item.video for item in items})
        shown = show(data, videos, policy, control, 0, workers, lambda _: None)
        store = FrameStore(data, shown.paths, policy, workers=workers)
        return [store.frames(view) for view in shown.views.values() if view is not None]


def test_a_run_through_faults_equals_one_without(
    make_remote: Make, chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any], quiet: Console
) -> None:
    url = chat_echo().url
    run_eval(plain := make_remote(url), quiet)
    proxy = fault_proxy(url, share=0.4)
    for number, settings in enumerate(({"concurrency": 1}, {"concurrency": 8})):
        config = make_remote(proxy.url, {"timeout_s": 0.2, "retries": 8, **settings}, out=f"faulty-{number}", batch_size=5)
        results = run_eval(config, quiet)
        assert measured(config.out) == measured(plain.out)
    assert results["vtalign"]["counts"]["server_failed"] == 0 and sum(proxy.met.values()) > 10
    assert results["model_name"] == "echo" and results["vtalign"]["frame_policy"] == FramePolicy().model_dump(mode="json")


@pytest.mark.parametrize("control", ["none", "reversed", "repeated-frame", "one-frame"])
def test_the_server_is_shown_the_frames_in_slot_order(
    make_remote: Make, chat_echo: Callable[..., Any], shapes: Path, quiet: Console, control: Control
) -> None:
    server = chat_echo()
    policy = {"fps": 4.0, "multiple": 16}
    run_eval(make_remote(server.url, {"images": "jpeg"}, control=control, frames=policy), quiet)
    expected = frames_of(shapes, load(shapes), FramePolicy.model_validate(policy), control)
    assert len(server.bodies) == 24 and len(expected) == 8
    plain = frames_of(shapes, load(shapes), FramePolicy.model_validate(policy), "none")
    for body in server.bodies:
        seen = images_in(body).astype(float)
        errors = [np.abs(seen - frames).mean() for frames in expected if frames.shape == seen.shape]
        assert sorted(errors)[0] < 4 < 12 < sorted(errors)[1]  # noise as JPEG, against another video
        if control == "reversed":
            assert min(np.abs(seen[::-1] - frames).mean() for frames in plain if frames.shape == seen.shape) < 4
            assert min(np.abs(seen - frames).mean() for frames in plain if frames.shape == seen.shape) > min(errors) + 1


def test_png_is_without_loss_and_text_shows_nothing(
    make_remote: Make, chat_echo: Callable[..., Any], shapes: Path, quiet: Console
) -> None:
    server = chat_echo()
    run_eval(make_remote(server.url, {"images": "png"}, controls=("text",)), quiet)
    expected = frames_of(shapes, load(shapes), FramePolicy(), "none")
    with_video = [body for body in server.bodies if not isinstance(body["messages"][0]["content"], str)]
    # without video, the questions are three, and each is asked once
    assert len(server.bodies) == 27 and len(with_video) == 24
    for body in with_video:
        seen = images_in(body)
        assert any(frames.shape == seen.shape and (frames == seen).all() for frames in expected)
    assert {text_in(body) for body in server.bodies} == {text_in(body) for body in with_video}


def test_a_server_that_dies_in_the_middle_loses_nothing(
    make_remote: Make, chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any], quiet: Console
) -> None:
    url = chat_echo().url
    run_eval(plain := make_remote(url, out="plain"), quiet)
    proxy = fault_proxy(url, share=0.0)
    proxy.dies_after = 7
    config = make_remote(proxy.url, {"retries": 0, "concurrency": 2})
    with pytest.raises(RunFailed, match=r"stopped answering .*; run the same command again to go on"):
        run_eval(config, quiet)
    assert len((config.out / "predictions.jsonl").read_text().splitlines()) == 7
    # it comes back, and at another address
    back = make_remote(fault_proxy(url, share=0.0).url)
    run_eval(back, quiet)
    assert json.loads((back.out / "timing.json").read_text())["answered"] == 17
    assert measured(back.out) == measured(plain.out)


def test_failed_requests_count_as_wrong_are_named_and_asked_again(
    make_remote: Make, chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any], quiet: Console
) -> None:
    url = chat_echo().url
    run_eval(plain := make_remote(url, out="plain"), quiet)
    text = StringIO()
    proxy = fault_proxy(url, share=0.3, faults=["500", "hang"])
    config = make_remote(proxy.url, {"retries": 0, "timeout_s": 0.3})
    found = run_eval(config, Console(file=text, width=200))["vtalign"]
    failed = found["counts"]["server_failed"]
    assert failed == len([row for row in map(json.loads, (config.out / SAMPLES).open()) if row["failure"] and not row["score"]])
    assert 0 < failed < 24 and found["metrics"]["accuracy"]["n"] == 24 and found["counts"]["decode_failed"] == 0
    assert found["decode_failures"] == {} and set(found["server_failures"]) == {"server_error", "server_timeout"}
    assert sum(entry["questions"] for entry in found["server_failures"].values()) == failed
    assert "server_timeout: " in text.getvalue() and "the same command asks them again" in text.getvalue()
    again = make_remote(url)
    run_eval(again, quiet)
    assert json.loads((again.out / "timing.json").read_text())["answered"] == failed
    assert measured(again.out) == measured(plain.out)


def test_when_no_question_is_answered_the_run_failed(
    make_remote: Make, chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any], quiet: Console
) -> None:
    proxy = fault_proxy(chat_echo().url, share=1.0, faults=["500"])
    with pytest.raises(RunFailed, match=r"not one question was answered \(first: server_error: status 500: .*out of memory"):
        run_eval(make_remote(proxy.url, {"retries": 0}, limit=4), quiet)


def test_what_no_retry_can_mend_is_said_at_once(
    make_remote: Make, chat_echo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, quiet: Console
) -> None:
    with pytest.raises(InputError, match=r"http://127.0.0.1:9/v1: no OpenAI-compatible server answers there"):
        run_eval(make_remote("http://127.0.0.1:9/v1"), quiet)
    with pytest.raises(InputError, match=r"has no chat model 'ecko' \(it lists echo\)"):
        run_eval(make_remote(chat_echo().url, model="ecko", out="unknown"), quiet)
    monkeypatch.setenv("OTHER_KEY", "sk-wrong")
    config = make_remote(chat_echo(key="sk-right").url, {"key_env": "OTHER_KEY"}, out="key")
    with pytest.raises(InputError, match=r"the environment variable OTHER_KEY holds one that it does not take"):
        run_eval(config, quiet)
    assert "sk-" not in "".join(path.read_text() for path in config.out.rglob("*") if path.is_file())


def test_a_finished_run_needs_no_server(make_remote: Make, chat_echo: Callable[..., Any], quiet: Console) -> None:
    server = chat_echo()
    config = make_remote(server.url, controls=("text",))
    run_eval(config, quiet)
    before = (config.out / "results.json").read_bytes()
    server.close()
    run_eval(config, quiet)
    assert (config.out / "results.json").read_bytes() == before


def test_another_way_to_send_images_is_another_run(make_remote: Make, chat_echo: Callable[..., Any], quiet: Console) -> None:
    url = chat_echo().url
    run_eval(make_remote(url, limit=2), quiet)
    with pytest.raises(InputError, match=r"holds another run \(server.images: 'jpeg' there, 'png' asked\)"):
        run_eval(make_remote(url, {"images": "png"}, limit=2), quiet)


@pytest.mark.slow
def test_a_model_on_a_server_needs_no_torch_here(chat_echo: Callable[..., Any], shapes: Path, tmp_path: Path) -> None:
    code = """
import sys
from rich.console import Console
from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval
server = {"url": sys.argv[1]}
run_eval(EvalConfig(model="echo", server=server, data=sys.argv[2], out=sys.argv[3]), Console(quiet=True))
assert "torch" not in sys.modules and "transformers" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, chat_echo().url, str(shapes), str(tmp_path / "run")]
    assert subprocess.run(command, env=environment, stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.slow
def test_transformers_serve_through_faults(
    make_remote: Make,
    served_checkpoint: str,
    tiny_checkpoint: Path,
    fault_proxy: Callable[..., Any],
    shapes: Path,
    quiet: Console,
) -> None:
    """A real server: replies depend on what is shown, and neither faults nor concurrency change them."""
    served = {"model": str(tiny_checkpoint), "frames": {"fps": 2.0, "multiple": 16}, "max_new_tokens": 6}
    run_eval(plain := make_remote(served_checkpoint, {"timeout_s": 60, "concurrency": 1}, out="plain", **served), quiet)
    proxy = fault_proxy(served_checkpoint, share=0.4)
    config = make_remote(proxy.url, {"timeout_s": 5, "concurrency": 8}, **served, controls=("reversed", "text"))
    results = run_eval(config, quiet)
    assert measured_without_controls(config.out) == measured_without_controls(plain.out)
    assert sum(proxy.met.values()) > 10 and results["vtalign"]["counts"]["server_failed"] == 0
    with pytest.raises(RunFailed, match=r"answers no request \(status 400: .*Server is pinned to"):
        run_eval(make_remote(served_checkpoint, {"timeout_s": 60}, **{**served, "model": "other", "out": "other"}), quiet)
    replies = {name: said(config.out / part) for name, part in (("plain", ""), ("reversed", "controls/reversed"))}
    assert len(set(replies["plain"])) > 3 and replies["plain"] != replies["reversed"]


def measured_without_controls(folder: Path) -> tuple[str, str]:
    results, samples = measured(folder)
    tree = json.loads(results)
    tree["vtalign"].pop("gains", None)
    for config in (tree["config"], tree["vtalign"]["config"]):
        del config["controls"]
    return json.dumps(tree), samples


def said(folder: Path) -> list[str]:
    return [json.loads(line)["reply"] for line in (folder / SAMPLES).read_text().splitlines()]
