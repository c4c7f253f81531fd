"""A small benchmark folder with real video files, and hand-made outcomes."""

import json
import threading
from collections.abc import Callable, Generator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from rich.console import Console

from vtalign.video.isolated import DecodeWorkers
from vtalign_eval.config import EvalConfig
from vtalign_eval.judging import JudgeConfig
from vtalign_eval.outcomes import Outcome

if TYPE_CHECKING:
    from vtalign.models.video_lm import VideoLM

FAMILIES, ASPECTS = 4, ("order", "direction", "static")


def _write_video(path: Path, *, seed: int, frames: int) -> None:
    """A small H.264 file: a bright square that moves over a noisy background of its own."""
    noise = np.random.default_rng(seed)
    background = noise.integers(0, 120, (48, 48, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
        for index in range(frames):
            image = background.copy()
            left = (3 * index + 5 * seed) % 36
            image[18:30, left : left + 12] = (250, 40 * (seed % 6), 60)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def _question_row(video: str, family: str, aspect: str, answer: str, **changes: Any) -> dict[str, Any]:
    row = {
        "question_id": f"{video}:{aspect}",
        "video": f"videos/{video}.mp4",
        "family": family,
        "aspect": aspect,
        "group": None,
        "events": 2,
        "template": "t-0",
        "question": f"{aspect} of the red square , left or right ?",
        "options": ["left", "right"],
        "answer": answer,
    }
    return row | changes


@pytest.fixture(scope="module")
def lm(tiny_checkpoint: Path) -> "VideoLM":
    from vtalign.models.load import load_video_lm

    return load_video_lm(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def workers() -> Iterator[DecodeWorkers]:
    with DecodeWorkers(1) as pool:
        yield pool


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four families of two sibling videos, each with two conflict groups, and a static question a video: 24 questions."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "videos").mkdir()
    rows = []
    for family in range(FAMILIES):
        for sibling, answer in enumerate(("left", "right")):
            name = f"f{family}-{'ab'[sibling]}"
            _write_video(folder / "videos" / f"{name}.mp4", seed=2 * family + sibling, frames=8 * (1 + family % 3))
            for aspect in ASPECTS:
                group = None if aspect == "static" else f"f{family}-{aspect}"
                rows.append(_question_row(name, f"f{family}", aspect, answer, group=group, events=1 + family % 3))
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def question_replies(shapes: Path) -> Callable[..., Path]:
    """Writes the same reply to every question of `shapes`, as rows of ours."""

    def write(path: Path, reply: str | None) -> Path:
        ids = [json.loads(line)["question_id"] for line in (shapes / "questions.jsonl").read_text().splitlines()]
        path.write_text("".join(json.dumps({"question_id": name, "reply": reply}) + "\n" for name in ids))
        return path

    return write


@pytest.fixture
def make_config(tiny_checkpoint: Path, shapes: Path, tmp_path: Path) -> Callable[..., EvalConfig]:
    """A config for the tiny random model on the small benchmark, with changes; each `out` name is its own folder."""

    def make(*, out: str = "run", **changes: Any) -> EvalConfig:
        settings = {"model": str(tiny_checkpoint), "data": shapes, "max_new_tokens": 6, **changes}
        return EvalConfig(out=tmp_path / out, **settings)

    return make


def _outcome(question_id: str, *, right: bool, **changes: Any) -> Outcome:
    """A two-option outcome that is right or wrong; `family` defaults to the part of the id before the colon."""
    fields: dict[str, Any] = {
        "question_id": question_id,
        "video": f"videos/{question_id}.mp4",
        "family": question_id.split(":")[0],
        "aspect": "order",
        "group": None,
        "events": 2,
        "question": "which comes first ?",
        "options": ("left", "right"),
        "answer": "left",
    }
    fields |= changes
    wrong = next(option for option in fields["options"] if option != fields["answer"])
    said = fields["answer"] if right else wrong
    graded = {"reply": said, "choice": said, "correct": right, "lenient_choice": said, "lenient_correct": right}
    return Outcome(**{**fields, **graded, **{key: changes[key] for key in graded if key in changes}})


@pytest.fixture
def write_video() -> Callable[..., None]:
    return _write_video


@pytest.fixture
def question_row() -> Callable[..., dict[str, Any]]:
    return _question_row


@pytest.fixture
def make_outcome() -> Callable[..., Outcome]:
    return _outcome


@pytest.fixture
def quiet() -> Console:
    return Console(quiet=True)


class ChatServer:
    """A server with OpenAI's chat API on this machine. `answer` gives the words for a prompt, or the status of a failure.

    `prompts` are those that arrived, in order; `answer` may be changed between runs.
    """

    def __init__(self, answer: Callable[[str], str | int]) -> None:
        self.answer, self.prompts = answer, list[str]()
        self.lock = threading.Lock()
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send(200, {"object": "list", "data": [{"id": "judge-1", "object": "model"}]})

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert asked["temperature"] == 0 and asked["model"] == "judge-1"
                (message,) = asked["messages"]
                with script.lock:
                    script.prompts.append(message["content"])
                    said = script.answer(message["content"])
                if isinstance(said, int):
                    self.send(said, {"error": {"message": "scripted"}})
                    return
                choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
                self.send(200, {"choices": [choice], "usage": {"completion_tokens": 1}})

            def send(self, status: int, value: dict[str, Any]) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def config(self, **changes: Any) -> JudgeConfig:
        return JudgeConfig.model_validate({"server": {"url": self.url, "model": "judge-1", "retries": 0}, **changes})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    @property
    def name(self) -> str:
        """As results name it."""
        return f"judge-1@{self.url}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def chat_server() -> Generator[Callable[[Callable[[str], str | int]], ChatServer]]:
    """Starts chat servers that answer by script."""
    started: list[ChatServer] = []

    def start(answer: Callable[[str], str | int]) -> ChatServer:
        started.append(ChatServer(answer))
        return started[-1]

    yield start
    for server in started:
        server.stop()
