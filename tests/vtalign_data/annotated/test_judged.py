"""What a judge is asked, and a judge on a real HTTP server: it takes every answer that says hound for right."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vtalign.judging.config import JudgeConfig
from vtalign.judging.replier import open_replier
from vtalign_data.annotated.annotation import Annotation
from vtalign_data.annotated.judged import ask_judge, judge_prompt

WHAT = Annotation("qa", "What runs?", "a dog")


class _Judge(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][0]["content"]
        reply = asked.partition("<<<answer\n")[2].partition("\nanswer>>>")[0]
        word = "Perhaps" if "may" in reply else "Correct" if "hound" in reply else "Incorrect"
        choice = {"index": 0, "message": {"role": "assistant", "content": word}, "finish_reason": "stop"}
        body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice]}).encode()
        self.send_response(200)
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
    prompts = [judge_prompt(WHAT, "What runs?", reply) for reply in ("a hound", "a {truth} cat", "may be", "a hound")]
    found = ask_judge(judge, prompts)
    assert [found[prompt] for prompt in prompts] == [True, False, "unreadable", True] and len(found) == 3


def test_a_prompt_holds_what_is_judged_and_nothing_is_filled_in_twice() -> None:
    prompt = judge_prompt(WHAT, "What runs?\nA. {reply}", "it is {truth}")
    assert "Question:\nWhat runs?\nA. {reply}\n" in prompt and "<<<answer\nit is {truth}\nanswer>>>" in prompt
    assert "Right answer: a dog" in prompt
    caption = judge_prompt(Annotation("caption", "", "It rains."), "Describe the video.", "It snows.")
    assert "True description:\nIt rains." in caption and "<<<description\nIt snows." in caption and "Describe" not in caption
