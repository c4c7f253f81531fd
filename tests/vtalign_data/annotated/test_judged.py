"""What a judge is asked, and a judge on a real HTTP server: it takes every answer that says hound for right."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vtalign.errors import RunFailed
from vtalign.judging.config import JudgeConfig
from vtalign.judging.replier import open_replier
from vtalign_data.annotated.annotation import Annotation
from vtalign_data.annotated.config import AnnotationConfig
from vtalign_data.annotated.judged import Judged, ask_judge, judge_prompt
from vtalign_data.usage import Usage

WHAT = Annotation("qa", "What runs?", "a dog")
CONFIG = AnnotationConfig()


class _Judge(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(503)  # it lists no models, and is there

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][0]["content"]
        reply = asked.partition("<<<answer\n")[2].partition("\nanswer>>>")[0]
        word = "Perhaps" if "may" in reply else "Correct" if "hound" in reply else "Incorrect"
        choice = {"index": 0, "message": {"role": "assistant", "content": word}, "finish_reason": "stop"}
        usage = {"completion_tokens": 2}
        body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        self.send_response(503 if "ill" in reply else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def judge_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Judge)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_verdicts_of_a_server(judge_url: str) -> None:
    judge = open_replier(JudgeConfig.model_validate({"server": {"url": judge_url, "model": "judge", "retries": 0}}))
    replies = ("a hound", "a {truth} cat", "may be", "a hound", "ill")
    prompts = [judge_prompt(WHAT, "What runs?", reply, CONFIG) for reply in replies]
    found = ask_judge(judge, prompts)
    assert [found.verdicts[prompt] for prompt in prompts] == [True, False, "unreadable", True, "server_error"]
    assert found.usage == Usage(model_calls=4, generated_tokens=3 * 2), "asked once each; a failure is a call without tokens"


def test_a_judge_that_has_gone_stops_the_run(judge_url: str) -> None:
    """Few failures in a row are no proof: what was not judged would be lost for good."""
    gone = JudgeConfig.model_validate({"server": {"url": "http://127.0.0.1:9/v1", "model": "judge", "retries": 0}})
    with pytest.raises(RunFailed, match=r"stopped answering: .* run the same command again"):
        ask_judge(open_replier(gone), ["Is it so?"])
    assert ask_judge(open_replier(gone), []) == Judged({}, Usage())


def test_a_judge_on_disk_is_counted_too(parrot: Path) -> None:
    judge = open_replier(JudgeConfig(model=str(parrot), max_new_tokens=8, device="cpu"))
    found = ask_judge(judge, ["Is it left ?", "Is it left ?", "<|im_end|>"])
    assert found.verdicts == {"Is it left ?": True, "<|im_end|>": "prompt_refused"}
    assert found.usage.model_calls == 2 and found.usage.prompt_tokens > 3 and found.usage.generated_tokens >= 2


def test_a_prompt_holds_what_is_judged_and_nothing_is_filled_in_twice() -> None:
    prompt = judge_prompt(WHAT, "What runs?\nA. {reply}", "it is {truth}", CONFIG)
    assert "Question:\nWhat runs?\nA. {reply}\n" in prompt and "<<<answer\nit is {truth}\nanswer>>>" in prompt
    assert "Right answer: a dog" in prompt
    caption = judge_prompt(Annotation("caption", "", "It rains."), "Describe the video.", "It snows.", CONFIG)
    assert "True description:\nIt rains." in caption and "<<<description\nIt snows." in caption and "Describe" not in caption


def test_a_users_own_words() -> None:
    config = AnnotationConfig(judge_answer_prompt="{{ {question} | {truth} | {reply} }}", judge_caption_prompt="{truth}? {reply}")
    assert judge_prompt(WHAT, "What runs?", "a {reply}", config) == "{ What runs? | a dog | a {reply} }"
    assert judge_prompt(Annotation("caption", "", "It rains."), "", "It snows.", config) == "It rains.? It snows."
