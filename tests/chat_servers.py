"""Real HTTP servers that tests ask: a small chat server, a proxy that fails on purpose, and `transformers serve`."""

import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


class _Server:
    """An HTTP server in threads of its own, on a free port; `url` ends in /v1."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.respond(self, b"")

            def do_POST(self) -> None:
                outer.respond(self, self.rfile.read(int(self.headers["content-length"])))

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def respond(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """From now on connections are refused."""
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    with suppress(ConnectionError):  # whoever asked does not wait any more
        handler.wfile.write(body)


def send_json(handler: BaseHTTPRequestHandler, status: int, value: Any) -> None:
    send(handler, status, json.dumps(value).encode())


class ChatEcho(_Server):
    """A chat server whose reply to a request is a function of its messages, so that lost, doubled and mixed up replies show.

    Serves the model `echo`; with `key`, to those who have it. A prompt above `longest` characters is refused with status 400.
    Keeps the requests it met: `headers`, and the parsed `bodies` of chat requests.
    """

    def __init__(self, key: str | None = None, longest: int = 10**7) -> None:
        self._key, self._longest = key, longest
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        super().__init__()

    def respond(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        sent = handler.headers.get("Authorization")
        if self._key is not None and sent != f"Bearer {self._key}":
            return send_json(handler, 401, {"error": {"message": f"Incorrect key provided: {sent}"}})
        if handler.path == "/v1/models":
            return send_json(handler, 200, {"object": "list", "data": [{"id": "echo", "object": "model"}]})
        if handler.path != "/v1/chat/completions":
            return send_json(handler, 404, {"detail": "Not Found"})
        asked = json.loads(body)
        self.bodies.append(asked)
        if asked["model"] != "echo":
            return send_json(handler, 404, {"error": {"message": f"The model `{asked['model']}` does not exist."}})
        messages = json.dumps(asked["messages"])
        if len(messages) > self._longest:
            return send_json(handler, 400, {"error": {"message": "This model's maximum context length is exceeded."}})
        time.sleep(int(hashlib.sha256(messages.encode()).hexdigest(), 16) % 8 / 1000)  # replies come out of order
        return send_json(handler, 200, completion(echoed(asked["messages"]), min(5, asked["max_tokens"])))


def echoed(messages: Sequence[dict[str, Any]]) -> str:
    """The reply of `ChatEcho`."""
    return hashlib.sha256(json.dumps(list(messages)).encode()).hexdigest()[:12]


def completion(text: str | None, tokens: int = 1, finish: str = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": {"completion_tokens": tokens}}


FAULTS = ("500", "429", "hang", "close", "cut", "html", "json", "choices", "content")


class FaultProxy(_Server):
    """Passes requests on to `upstream` (a base URL), but for a `share` of them, which meet one of `faults`.

    Which fault a request meets is drawn from the seed, its bytes and how often it came before, so that it does not depend on the
    order of requests; from its fifth time on a request is passed on. With `down` set every connection is closed without a reply,
    after `dies_after` passed-on chat requests too. `passed`: parsed chat requests that were passed on; `met`: faults by name.
    """

    def __init__(self, upstream: str, share: float, seed: int = 0, faults: Sequence[str] = FAULTS) -> None:
        self._upstream, self._share, self._seed, self._faults = upstream, share, seed, tuple(faults)
        self._came: Counter[bytes] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.down = False
        self.dies_after: int | None = None
        self.passed: list[dict[str, Any]] = []
        self.met: Counter[str] = Counter()
        super().__init__()

    def close(self) -> None:
        self._closing.set()
        super().close()

    def respond(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        with self._lock:
            name = handler.path.encode() + hashlib.sha256(body).digest()
            before, self._came[name] = self._came[name], self._came[name] + 1
            fault = self._fault(name, before)
            if fault is not None:
                self.met[fault] += 1
            elif body and not self.down:
                self.passed.append(json.loads(body))
            down, self.down = self.down, self.down or (self.dies_after is not None and len(self.passed) >= self.dies_after)
        if down:
            return
        if fault is None:
            self._pass_on(handler, body)
        else:
            self._fail(handler, fault)

    def _fault(self, name: bytes, before: int) -> str | None:
        draw = random.Random(f"{self._seed}|{name.hex()}|{before}")
        return draw.choice(self._faults) if before < 4 and draw.random() < self._share else None

    def _pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        headers = {name: value for name, value in handler.headers.items() if name.lower() in ("authorization", "content-type")}
        asked = urllib.request.Request(self._upstream + handler.path.removeprefix("/v1"), body or None, headers)
        try:
            with urllib.request.urlopen(asked, timeout=120) as response:
                send(handler, response.status, response.read(), response.headers.get_content_type())
        except urllib.error.HTTPError as error:
            send(handler, error.code, error.read(), error.headers.get_content_type())

    def _fail(self, handler: BaseHTTPRequestHandler, fault: str) -> None:
        if fault == "500":
            send_json(handler, 500, {"error": {"message": "out of memory"}})
        elif fault == "429":
            send(handler, 429, b"slow down", "text/plain", **{"Retry-After": "0"})
        elif fault == "hang":
            self._closing.wait(60)
        elif fault == "cut":
            handler.send_response(200)
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            handler.wfile.write(b'{"choices": [{"mess')
        elif fault == "html":
            send(handler, 200, b"<!doctype html><title>Please log in</title>", "text/html")
        elif fault == "json":
            send(handler, 200, b'{"choices": [{"message": {"content": "A"')
        elif fault == "choices":
            send_json(handler, 200, {"choices": [], "data": "nothing"})
        elif fault == "content":
            send_json(handler, 200, {**completion(None), "data": None})


@contextmanager
def transformers_serve(checkpoint: Path, log: Path) -> Iterator[str]:
    """`transformers serve` on a checkpoint folder, on the CPU and without network; the base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cache = log.parent / "cache"  # where it looks for models to list
    cache.mkdir()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(checkpoint)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with log.open("wb") as output:
        server = subprocess.Popen([*command, *options], env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 180
            while not _answers(f"http://127.0.0.1:{port}/health"):
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
