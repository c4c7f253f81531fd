"""A judge on a real HTTP server."""

import pytest

from vtalign.judging.config import JudgeConfig
from vtalign.judging.replier import Said, open_replier

from ...chat_servers import echoed


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtalign.remote.server._FIRST_WAIT", 0.005)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def judge(url: str) -> JudgeConfig:
    return JudgeConfig.model_validate({"server": {"url": url, "model": "echo", "retries": 0}, "max_new_tokens": 3})


def test_every_prompt_has_its_own_reply_and_its_cost(chat_echo) -> None:
    server = chat_echo(longest=60)
    prompts = ["Is it left ?", "x" * 60, "yes"]
    found: dict[int, Said] = {}
    open_replier(judge(server.url)).reply(prompts, found.__setitem__)
    turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
    assert [found[0], found[2]] == [Said(echoed(turns[0])), Said(echoed(turns[2]))]
    assert found[1] == Said(None, "server_refused")
    assert [found[place].tokens for place in range(3)] == [3, 0, 3]
    assert all(body["temperature"] == 0 and body["max_tokens"] == 3 for body in server.bodies)


def test_its_name_ends_in_the_address_or_in_what_the_user_vouches_for() -> None:
    config = judge("http://localhost:1/v1/")
    assert open_replier(config).name == "echo@http://localhost:1/v1"
    assert open_replier(config, "ours").name == "echo@ours"
