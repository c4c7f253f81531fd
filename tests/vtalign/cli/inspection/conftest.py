"""Pairs over real small videos, and a browser that can be clicked, measured and photographed."""

import base64
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vtalign.ids import stable_id
from vtalign.preference.pair import AppliedPerturbation, PreferencePair, Scores, group_id_of
from vtalign.video.perturb import perturb
from vtalign.video.perturbation_spec import PerturbationSpec
from vtalign.video.view import Slot, VideoView

SPECS = [
    *(PerturbationSpec(name="shuffle", strength=strength) for strength in (8, 4, 2)),
    *(PerturbationSpec(name="reverse", strength=strength) for strength in (4, 2)),
    PerturbationSpec(name="reverse", strength=16, frames="reversed"),
    PerturbationSpec(name="drop", strength=2),
    PerturbationSpec(name="speed", strength=2),
]
WORDS = (
    "a red circle",
    "blue square",
    "grows",
    "shrinks",
    "turns",
    "moves left",
    "slowly",
    "then",
    "finally",
    "the dog",
    "jumps",
)


def view_of(video_id: str, frames: list[int | None]) -> VideoView:
    return VideoView(tuple(Slot(video_id, frame, place / 2) for place, frame in enumerate(frames)), 2.0)


@pytest.fixture
def make_pair() -> Callable[..., PreferencePair]:
    """A pair of one video with eight frames; any field may be given."""

    def make(**changes: Any) -> PreferencePair:
        video_id = changes.pop("video_id", "video-0")
        view = changes.pop("view", view_of(video_id, [0, 2, 4, 6, 8, 10, 12, 14]))
        fields: dict[str, Any] = {
            "video": "a.mp4",
            "prompt": "What happens?",
            "chosen": "a dog runs, then it sits",
            "rejected": "a dog sits, then it runs",
            "source": "self",
            **changes,
        }
        group_id = group_id_of(view.view_id, fields["prompt"], fields["chosen"])
        pair_id = stable_id("pair", group_id, fields["rejected"], view.view_id, video_id)
        return PreferencePair(
            **{"pair_id": pair_id, "group_id": group_id, "video_id": video_id, "view_id": view.view_id, "view": view, **fields}
        )

    return make


@pytest.fixture
def synthetic_pairs(make_pair: Callable[..., PreferencePair]) -> Callable[[list[str], int, int], list[PreferencePair]]:
    """`count` pairs over `videos` videos, whose files are those of `paths` in turn; 12 frames each, all kinds of values."""

    def make(paths: list[str], videos: int, count: int) -> list[PreferencePair]:
        draw = random.Random(0)
        views = [view_of(f"video-{n:04d}", list(range(12))) for n in range(videos)]
        pairs = []
        for n in range(count):
            video = n % videos
            done = perturb(views[video], SPECS[(n // videos + video) % len(SPECS)], seed=n // videos)
            said = [" ".join(draw.choices(WORDS, k=14)) for _ in range(2)]
            scores = Scores(draw.gauss(-60, 9), draw.gauss(-66, 9), 24, 25, draw.gauss(-63, 9), draw.random() / 2, draw.random())
            pairs.append(
                make_pair(
                    video_id=f"video-{video:04d}",
                    video=paths[video % len(paths)],
                    view=views[video],
                    perturbed_view=done.view,
                    perturbation=AppliedPerturbation(
                        done.spec.name,
                        done.spec.strength,
                        done.seed,
                        {"spec": done.spec.model_dump(mode="json", exclude_defaults=True)},
                    ),
                    prompt=f"What happens in video {n}?",
                    chosen=said[0],
                    rejected=said[1],
                    kind=("response", "order", "match")[n % 3],
                    source=("self", "text", "annotation")[n % 7 % 3],
                    scores=scores if n % 10 else None,
                    difficulty=1 / done.spec.strength,
                )
            )
        return pairs

    return make


class Browser:
    """Chromium without a window, spoken to over its debugging pipe: JSON messages that end with a zero byte."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        flags = f"--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --user-data-dir={profile}"
        launch = f'exec 3<&{to_read} 4>&{to_write}; exec "$0" "$@" --remote-debugging-pipe about:blank'
        self._process = subprocess.Popen(
            ["bash", "-c", launch, program, *flags.split()], pass_fds=(to_read, to_write), stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number, self._session = b"", 0, ""
        (page,) = (found for found in self.call("Target.getTargets")["targetInfos"] if found["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        os.write(
            self._write, json.dumps({"id": self._number, "method": method, "params": parameters, **session}).encode() + b"\0"
        )
        while True:
            while b"\0" not in self._buffer:
                received = os.read(self._read, 1 << 20)
                assert received, "the browser has gone"
                self._buffer += received
            message, self._buffer = self._buffer.split(b"\0", 1)
            answer = json.loads(message)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def run(self, code: str) -> Any:
        """The value of a JavaScript expression, a promise awaited."""
        answer = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, address: str, width: int, dark: bool = False) -> None:
        """Open a page that draws pairs, and wait until it has."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.run("""new Promise(done => { const look = () =>
            document.querySelector("#pairs")?.dataset.drawn ? done() : setTimeout(look, 20); look(); })""")

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._read)
        os.close(self._write)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium), which is not here")
    opened = Browser(program, tmp_path_factory.mktemp("browser") / "profile")
    yield opened
    opened.close()
