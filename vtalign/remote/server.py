"""`ChatServer`: many chat requests at once, each tried again until the server answers it or its retries are used up."""

import os
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

from openai import APIConnectionError, APIStatusError, APITimeoutError, DefaultHttpxClient, OpenAI

from vtalign.errors import InputError, RunFailed, VTAlignError
from vtalign.remote.config import ServerConfig
from vtalign.remote.payload import NoCompletion, read_completion, read_models
from vtalign.remote.requests import ChatReply, ChatRequest, ServerError

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0  # seconds between two tries
_CHECK_TIMEOUT, _CHECK_RETRIES = 30.0, 2
_COME_BACK = (408, 409, 429)
_TOLD, _LISTED = 200, 10  # characters of a server's words and models of its list that an error repeats

_RAW = "x-stainless-raw-response"  # the package itself looks for it when the reply is there
_SENT = frozenset({"host", "accept", "accept-encoding", "connection", "content-type", "content-length", _RAW})

T = TypeVar("T")


class ChatServer:
    """One model on a server that speaks OpenAI's chat API.

    The key is read from the environment variable `config.key_env`; without it requests go out without a key. Nothing about this
    machine is sent along, and redirections are not followed. Raises InputError for a key that cannot be one.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self._key = os.environ.get(config.key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise InputError(f"{config.key_env}: the environment variable holds characters that no key has")
        self._client = OpenAI(
            base_url=config.url,
            api_key=self._key or "none",
            timeout=config.timeout_s,
            max_retries=0,  # one budget of retries, which covers replies that are none too
            http_client=DefaultHttpxClient(follow_redirects=False, event_hooks={"request": [self._send_what_was_asked]}),
        )
        self._failed_in_a_row, self._answered = 0, False
        self._gives_up_after = max(10, 2 * config.concurrency)

    def check(self) -> None:
        """Raises InputError where nothing answers, the key is refused, or what answers is no OpenAI-compatible server.

        A list of models that fails (`transformers serve` has none without a cache folder) is a sign of life all the same.
        """
        found = self._persist(self._models, min(self.config.retries, _CHECK_RETRIES), threading.Event())
        if isinstance(found, ServerError) and found.reason != "server_error":
            raise InputError(
                f"{self.config.url}: no OpenAI-compatible server answers there ({found.detail}); start it or correct the URL"
            )

    def complete(
        self,
        requests: Sequence[ChatRequest],
        on_done: Callable[[int, ChatReply | ServerError], object] | None = None,
    ) -> list[ChatReply | ServerError]:
        """Answers in the order of `requests`. `on_done` is given the place of a request and its answer as soon as it is there,
        one at a time, in the caller's thread.

        Raises InputError for a key or model that the server does not take, and RunFailed where it has stopped answering; what was
        answered until then has been given to `on_done`.
        """
        answers: dict[int, ChatReply | ServerError] = {}
        halted: VTAlignError | None = None
        stop = threading.Event()
        pool = ThreadPoolExecutor(self.config.concurrency, thread_name_prefix="chat")
        try:
            places = {pool.submit(self._ask, request, stop): place for place, request in enumerate(requests)}
            for future in as_completed(places):
                if future.cancelled():
                    continue
                try:
                    place, answer = places[future], future.result()
                    answers[place] = answer
                    if on_done:
                        on_done(place, answer)
                    self._require_alive(answer)
                except VTAlignError as error:
                    # what is under way is waited for: its replies are given to on_done too
                    halted = halted or error
                    stop.set()
                    for waiting in places:
                        waiting.cancel()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
        if halted:
            raise halted
        return [answers[place] for place in range(len(requests))]

    def _send_what_was_asked(self, request: Any) -> None:
        """The package describes machine and Python in headers of its own, takes more of them from the environment (organisation,
        project, OPENAI_CUSTOM_HEADERS), and wants a key where there is none."""
        for name in set(request.headers) - _SENT:
            del request.headers[name]
        request.headers["user-agent"] = "vtalign"  # some gateways turn away requests without one
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"

    def _ask(self, request: ChatRequest, stop: threading.Event) -> ChatReply | ServerError:
        return self._persist(lambda: self._complete(request), self.config.retries, stop)

    def _complete(self, request: ChatRequest) -> ChatReply:
        asked: dict[str, Any] = {
            "model": self.config.model,
            "messages": list(request.messages),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if request.seed is not None:
            asked["seed"] = request.seed
        try:
            raw = self._client.chat.completions.with_raw_response.create(**asked)
        except APIStatusError as error:
            if error.status_code == 404:
                raise InputError(self._unknown_model()) from None
            raise
        return read_completion(raw.content)

    def _models(self) -> list[str]:
        timeout = min(self.config.timeout_s, _CHECK_TIMEOUT)
        return read_models(self._client.models.with_raw_response.list(timeout=timeout).content)

    def _unknown_model(self) -> str:
        listed = self._persist(self._models, 0, threading.Event())
        names = self._told(", ".join(listed[:_LISTED])) if not isinstance(listed, ServerError) else ""
        known = f"it lists {names}" if names else "it lists none"
        return f"{self.config.url}: has no chat model '{self.config.model}' ({known}); a base URL ends in /v1 as a rule"

    def _persist(self, ask: Callable[[], T], retries: int, stop: threading.Event) -> T | ServerError:
        """What `ask` gives, or the last of its errors. Raises InputError at once for what no retry can mend."""
        attempt = 0
        while True:
            wait = random.uniform(0.5, 1) * min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
            try:
                return ask()
            except APITimeoutError:
                error = ServerError("server_timeout", "no reply in time")
            except APIConnectionError as failure:
                error = ServerError("server_unreachable", self._told(str(failure.__cause__ or failure)))
            except NoCompletion as failure:
                error = ServerError("server_garbage", f"its reply cannot be used: {self._told(str(failure))}")
            except APIStatusError as failure:
                error = self._of_status(failure)
                if error.reason == "server_refused":
                    return error
                wait = max(wait, _asked_wait(failure))
            if attempt == retries or stop.wait(wait):
                return error
            attempt += 1

    def _of_status(self, failure: APIStatusError) -> ServerError:
        status, url = failure.status_code, self.config.url
        if status in (401, 403):
            held = "holds one that it does not take" if self._key else "is not set"
            raise InputError(
                f"{url}: the server refuses the key (status {status}): the environment variable {self.config.key_env} {held}"
            )
        if status < 400:
            there = self._told(failure.response.headers.get("location", "nowhere"))
            raise InputError(f"{url}: the server sends requests on to {there}; name the address itself")
        said = f"status {status}: {self._told(failure.response.text)}"
        return ServerError("server_error" if status in _COME_BACK or status >= 500 else "server_refused", said)

    def _told(self, words: str) -> str:
        """A server's words as part of a line, without the key, should it repeat that."""
        line = words.replace(self._key, "***") if self._key else words
        line = " ".join(line.split())
        return line if len(line) <= _TOLD else line[:_TOLD] + ".."

    def _require_alive(self, answer: ChatReply | ServerError) -> None:
        """Raises RunFailed after many failures in a row. Refusals (too long a prompt, say) are about their requests, unless
        nothing has ever been answered."""
        if isinstance(answer, ChatReply):
            self._failed_in_a_row, self._answered = 0, True
            return
        if answer.reason != "server_refused" or not self._answered:
            self._failed_in_a_row += 1
        if self._failed_in_a_row >= self._gives_up_after:
            state = "stopped answering" if self._answered else "answers no request"
            raise RunFailed(f"the server at {self.config.url} {state} ({answer.detail}); run the same command again to go on")


def _asked_wait(failure: APIStatusError) -> float:
    """Seconds that the server asks to wait, within reason; 0 where it says a date or nothing."""
    try:
        return min(_LONGEST_WAIT, float(failure.response.headers.get("retry-after", 0)))
    except ValueError:
        return 0.0
