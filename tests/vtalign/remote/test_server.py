"""Against real HTTP servers: one that answers, and a proxy in front of it that fails in every way it knows."""

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from vtalign.errors import InputError, RunFailed
from vtalign.remote.requests import ChatReply, ChatRequest, ServerError
from vtalign.remote.server import ChatServer

from ...chat_servers import echoed

Connect = Callable[..., ChatServer]
NOWHERE = "http://127.0.0.1:9/v1"  # the discard port, on which nothing listens


def asked(count: int) -> list[ChatRequest]:
    return [ChatRequest(({"role": "user", "content": f"question {n} ?"},), max_tokens=8) for n in range(count)]


def test_answers_come_in_order_and_each_is_told_once(connect: Connect, chat_echo: Callable[..., Any]) -> None:
    told: dict[int, Any] = {}
    here = threading.get_ident()

    def on_done(place: int, answer: ChatReply | ServerError) -> None:
        assert place not in told and threading.get_ident() == here
        told[place] = answer

    requests = asked(40)
    answers = connect(chat_echo().url).complete(requests, on_done)
    assert answers == [ChatReply(echoed(request.messages), 5, "end") for request in requests]
    assert list(told) != sorted(told) and [told[place] for place in range(40)] == answers


def test_concurrency_changes_no_answer(connect: Connect, chat_echo: Callable[..., Any]) -> None:
    url, requests = chat_echo().url, asked(24)
    assert connect(url, concurrency=1).complete(requests) == connect(url, concurrency=8).complete(requests)


@pytest.mark.parametrize("seed", range(3))
def test_answers_through_faults_equal_those_without(
    connect: Connect, chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any], seed: int
) -> None:
    url, requests = chat_echo().url, asked(24)
    proxy = fault_proxy(url, share=0.4, seed=seed)
    client = connect(proxy.url, retries=8)
    client.check()
    assert client.complete(requests) == connect(url).complete(requests)
    assert sum(proxy.met.values()) >= 10 and len(proxy.passed) >= 24


@pytest.mark.parametrize(
    ("fault", "reason", "detail"),
    [
        ("500", "server_error", "status 500: .*out of memory"),
        ("429", "server_error", "status 429: slow down"),
        ("hang", "server_timeout", "no reply in time"),
        ("close", "server_unreachable", "disconnected"),
        ("cut", "server_unreachable", "incomplete|peer closed"),
        ("html", "server_garbage", "Invalid JSON"),
        ("json", "server_garbage", "Invalid JSON"),
        ("choices", "server_garbage", "choices: List should have at least 1 item"),
        ("content", "server_garbage", "choices.0.message.content: there is none"),
    ],
)
def test_what_stays_wrong_costs_one_request(
    connect: Connect, chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any], fault: str, reason: str, detail: str
) -> None:
    proxy = fault_proxy(chat_echo().url, share=1.0, faults=[fault])
    client = connect(proxy.url, retries=1, timeout_s=0.2)
    (answer,) = client.complete(asked(1))
    assert isinstance(answer, ServerError) and answer.reason == reason
    assert re.search(detail, answer.detail) and "\n" not in answer.detail
    assert proxy.met == {fault: 2}
    assert isinstance(connect(proxy.url, retries=4, timeout_s=0.2).complete(asked(1))[0], ChatReply)


def test_a_prompt_that_is_too_long_is_refused_alone_and_once(connect: Connect, chat_echo: Callable[..., Any]) -> None:
    server = chat_echo(longest=200)
    requests = asked(30)
    long = ChatRequest(({"role": "user", "content": "which ? " * 50},), max_tokens=8)
    answers = connect(server.url).complete([*requests, *[long] * 30])
    assert all(isinstance(answer, ChatReply) for answer in answers[:30])
    # more of them in a row than it takes to give up on a server that is gone: this one is there
    assert {answer.reason for answer in answers[30:] if isinstance(answer, ServerError)} == {"server_refused"}
    assert "maximum context length" in getattr(answers[-1], "detail", "") and len(server.bodies) == 60


def test_only_what_was_asked_is_sent(connect: Connect, chat_echo: Callable[..., Any]) -> None:
    server = chat_echo()
    message = {"role": "user", "content": "which ?"}
    client = connect(server.url)
    client.complete([ChatRequest((message,), 8)])
    client.complete([ChatRequest((message,), 16, temperature=0.7, seed=3)])
    plain = {"model": "echo", "messages": [message], "max_tokens": 8, "temperature": 0.0}
    assert server.bodies == [plain, {**plain, "max_tokens": 16, "temperature": 0.7, "seed": 3}]
    for headers in server.headers:
        assert "authorization" not in headers
        assert not {"x-stainless-os", "x-stainless-arch", "x-stainless-runtime-version"} & set(headers)


def test_nothing_of_the_environment_is_sent(
    connect: Connect, chat_echo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "secret-of-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: secret-of-mine\nAuthorization: Bearer secret-of-mine")
    monkeypatch.setenv("MY_KEY", "sk-right")
    server = chat_echo()
    known = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent"}
    known.add("x-stainless-raw-response")
    for name, more in (("UNSET", set()), ("MY_KEY", {"authorization"})):
        server.headers.clear()
        client = connect(server.url, key_env=name)
        client.check()
        client.complete(asked(1))
        assert len(server.headers) == 2
        for headers in server.headers:
            assert set(headers) <= known | more and "secret-of-mine" not in str(headers)
            assert headers.get("authorization") == ("Bearer sk-right" if more else None)
            assert headers["user-agent"] == "vtalign"


def test_the_key_comes_from_the_environment_and_is_told_to_nobody(
    connect: Connect, chat_echo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = chat_echo(key="sk-right")
    url = server.url
    with pytest.raises(InputError, match=r"refuses the key .status 401.: the environment variable OPENAI_API_KEY is not set"):
        connect(url).check()
    monkeypatch.setenv("MY_KEY", "sk-wrong")
    for ask in (lambda c: c.check(), lambda c: c.complete(asked(20))):
        with pytest.raises(InputError) as error:
            ask(connect(url, key_env="MY_KEY"))
        assert "MY_KEY holds one that it does not take" in str(error.value) and "sk-wrong" not in str(error.value)
    monkeypatch.setenv("MY_KEY", "sk-right\n")
    client = connect(url, key_env="MY_KEY")
    client.check()
    assert isinstance(client.complete(asked(1))[0], ChatReply)
    monkeypatch.setenv("MY_KEY", "schlüssel")
    with pytest.raises(InputError, match=r"MY_KEY: the environment variable holds characters that no key has"):
        connect(url, key_env="MY_KEY")


def test_a_key_that_the_server_repeats_is_not_repeated(
    connect: Connect, chat_echo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "maximum")  # a word of the refusal
    long = ChatRequest(({"role": "user", "content": "which ? " * 50},), max_tokens=8)
    (answer,) = connect(chat_echo(longest=100).url, key_env="MY_KEY").complete([long])
    assert isinstance(answer, ServerError) and "This model's *** context length" in answer.detail


def test_a_key_in_what_should_be_a_completion_or_a_list_is_not_repeated(
    connect: Connect, chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = chat_echo().url
    monkeypatch.setenv("MY_KEY", "stop")  # the finish_reason
    proxy = fault_proxy(url, share=1.0, faults=["content"])
    (answer,) = connect(proxy.url, key_env="MY_KEY", retries=0).complete(asked(1))
    assert isinstance(answer, ServerError) and answer.detail.endswith("there is none (finish_reason '***')")
    monkeypatch.setenv("MY_KEY", "echo")  # the model that it lists
    with pytest.raises(InputError, match=r"has no chat model 'ecko' \(it lists \*\*\*\)"):
        connect(url, key_env="MY_KEY", model="ecko").complete(asked(1))


def test_an_unknown_model_is_told_with_those_that_are_there(connect: Connect, chat_echo: Callable[..., Any]) -> None:
    server = chat_echo()
    with pytest.raises(InputError, match=r"/v1: has no chat model 'ecko' \(it lists echo\)"):
        connect(server.url, model="ecko", concurrency=1).complete(asked(50))
    assert len(server.bodies) < 10
    with pytest.raises(InputError, match=r"no OpenAI-compatible server answers there .status 404"):
        connect(server.url.removesuffix("/v1")).check()


def test_where_nothing_answers_it_is_said_before_any_work(connect: Connect) -> None:
    with pytest.raises(InputError, match=r"^http://127.0.0.1:9/v1: no OpenAI-compatible server answers there \(.*refused"):
        connect(NOWHERE).check()


def test_a_server_that_dies_ends_the_run_and_keeps_what_it_said(
    connect: Connect, chat_echo: Callable[..., Any], fault_proxy: Callable[..., Any]
) -> None:
    proxy = fault_proxy(chat_echo().url, share=0.0)
    proxy.dies_after = 15
    client = connect(proxy.url, retries=1, concurrency=4)
    told: dict[int, Any] = {}
    started = time.monotonic()
    with pytest.raises(RunFailed, match=r"stopped answering .*; run the same command again to go on"):
        client.complete(asked(200), told.__setitem__)
    assert sum(isinstance(answer, ChatReply) for answer in told.values()) == 15
    assert len(told) < 40 and time.monotonic() - started < 20
    proxy.down, proxy.dies_after = False, None
    left = [request for place, request in enumerate(asked(200)) if not isinstance(told.get(place), ChatReply)]
    assert all(isinstance(answer, ChatReply) for answer in connect(proxy.url).complete(left))


def test_a_server_that_never_answers_is_told_apart(connect: Connect) -> None:
    with pytest.raises(RunFailed, match=r"http://127.0.0.1:9/v1 answers no request .*refused"):
        connect(NOWHERE, retries=0).complete(asked(50))


def test_no_requests(connect: Connect) -> None:
    assert connect(NOWHERE).complete([]) == []
