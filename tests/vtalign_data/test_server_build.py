"""Builds whose captions and responses a server writes: with and without weights for scores, faults, stops, and the real thing."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtalign.errors import InputError, RunFailed
from vtalign.preference.schema import read_pairs
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.stage import Stage

from ..chat_servers import echoed
from .run_files import files_of


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtalign.remote.server._FIRST_WAIT", 0.005)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def served(make_config: Callable[..., BuildConfig]) -> Callable[..., BuildConfig]:
    """(out, url, changes) -> a build that the model `echo` behind `url` writes; frames of a few pixels."""

    def make(out: Path, url: str, server: dict[str, Any] | None = None, **changes: Any) -> BuildConfig:
        settings = {"url": url, "model": "echo", "concurrency": 4, **(server or {})}
        defaults: dict[str, Any] = {"model": None, "frames": {"max_pixels": 4096}, "balance": {"max_accuracy": 1.0}}
        return make_config(out, server=settings, **{**defaults, **changes})

    return make


def messages(bodies: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(body["messages"]) for body in bodies)


def test_without_weights_pairs_have_no_scores(served, chat_echo, tmp_path: Path) -> None:
    server = chat_echo()
    summary = run_build(served(tmp_path / "run", server.url))
    assert (summary.model, summary.writer) == ("echo", "echo") and "10-score" not in {stage.name for stage in summary.stages}
    pairs = read_pairs(summary.pairs_folder)
    assert len(pairs) == summary.pairs > 0
    assert all(pair.scores is None and pair.token_logps is None and pair.fingerprint is None for pair in pairs)
    assert len(server.bodies) == summary.caption_requests
    replies = {echoed(body["messages"]) for body in server.bodies}
    assert {pair.chosen.rstrip(".") for pair in pairs if pair.kind == "match"} <= replies
    assert summary.usage.model_calls == summary.caption_requests and summary.usage.generated_tokens == 5 * len(server.bodies)
    run = (tmp_path / "run" / "run.yaml").read_text()
    assert server.url not in run and "OPENAI_API_KEY" not in run
    card = (summary.pairs_folder / "README.md").read_text()
    assert "`echo` on a server wrote; the pairs have no scores" in card and server.url not in card
    assert "| margin | 0 |" in card and summary.statistics["distributions"]["characters_chosen"]["measured"] == len(pairs)


def test_without_scores_pairs_that_say_the_same_still_go(served, chat_echo, tmp_path: Path) -> None:
    settings = {
        "composer": {name: "Something is there to be seen now, and it is this: {0}" for name in ("first", "middle", "last")}
    }
    summary = run_build(served(tmp_path / "run", chat_echo().url, score_filters={"near_duplicate": 0.4}, **settings))
    last = summary.stages[-1]
    assert last.name == "11-select" and last.filtered["near_duplicate"] > 0 and last.kept == summary.pairs > 0


def test_a_server_answers_what_annotations_ask(served, chat_echo, troubled_videos: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in troubled_videos.glob("[!.]*.mp4"))
    rows = [{"video": name, "question": "What is behind the curtain?", "answer": "a giraffe"} for name in names]
    (tmp_path / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    server = chat_echo()
    columns = {"question": "question", "answer": "answer"}
    about = {
        "sources": ["annotation"],
        "annotations": {"file": str(tmp_path / "qa.jsonl"), "columns": columns, "max_overlap_answer": 0.0},
    }
    loose = {"filters": {"max_length_ratio": 99, "max_length_ratio_question": 99}}
    summary = run_build(served(tmp_path / "run", server.url, **about, **loose))
    assert summary.caption_requests == 0 and summary.usage.model_calls == len(server.bodies) > 0
    replies = {echoed(body["messages"]) for body in server.bodies}
    pairs = read_pairs(summary.pairs_folder)
    assert pairs and all(pair.chosen == "a giraffe" and pair.rejected in replies and pair.scores is None for pair in pairs)


def test_a_judges_calls_are_counted_where_they_are_made(served, chat_echo, troubled_videos: Path, tmp_path: Path) -> None:
    """The model's replies name no option, so that the judge is asked, whose own are no verdicts: all of it is counted."""
    names = sorted(path.name for path in troubled_videos.glob("[!.]*.mp4"))
    asked = [
        {"question": "What is there?", "answer": "a giraffe"},
        {"question": "Which way?", "answer": "in", "options": ["out", "in"]},
    ]
    rows = [{"video": name, **question} for name in names for question in asked]
    (tmp_path / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    server, judge = chat_echo(), chat_echo()
    columns = {"question": "question", "answer": "answer", "options": "options"}
    settings = {
        "file": str(tmp_path / "qa.jsonl"),
        "columns": columns,
        "judge": {"server": {"url": judge.url, "model": "echo"}, "max_new_tokens": 3},
    }
    loose = {"filters": {"max_length_ratio": 99, "max_length_ratio_question": 99}}
    config = served(tmp_path / "run", server.url, sources=["annotation"], annotations=settings, **loose)
    with pytest.raises(RunFailed, match="to 'unreadable', such as"):
        run_build(config)
    counts = Stage(tmp_path / "run/stages/07-annotated", None, "pair").counts()
    assert counts.failed == {"unreadable": counts.lost} and 0 < len(judge.bodies) <= counts.lost
    assert counts.usage.model_calls == len(judge.bodies) and counts.usage.generated_tokens == 3 * len(judge.bodies)
    answers = Stage(tmp_path / "run/stages/06-answers", None, "answer").counts()
    assert answers.usage.model_calls == len(server.bodies)
    judge.close()
    with pytest.raises(RunFailed, match="to 'unreadable', such as"):
        run_build(config)  # asks nobody again


def test_a_server_or_judge_that_is_not_there_leaves_nothing_behind(
    served, chat_echo, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    gone = {"url": "http://127.0.0.1:9/v1", "model": "echo", "retries": 0}
    weights = {"model": str(tiny_checkpoint), "frames": {}}
    with pytest.raises(InputError, match="no OpenAI-compatible server answers there"):
        run_build(served(tmp_path / "run", gone["url"], gone, **weights))
    (tmp_path / "qa.jsonl").write_text('{"video": "a.mp4", "caption": "It rains."}\n')
    asked = {"file": str(tmp_path / "qa.jsonl"), "columns": {"caption": "caption"}, "judge": {"server": gone}}
    judged = {"sources": ["annotation"], "annotations": asked}
    with pytest.raises(InputError, match="no OpenAI-compatible server answers there"):
        run_build(served(tmp_path / "run", chat_echo().url, **weights, **judged))
    assert not (tmp_path / "run").exists()


def test_views_are_compared_and_videos_mixed_whatever_is_shown(served, chat_echo, tmp_path: Path) -> None:
    """A blurred view is not asked about: what is said of the clean one is on both sides."""
    grid = [{"name": "blur", "strength": 2}, {"name": "insert_distractor", "strength": 2}]
    for given in ("caption", "clip", "video"):
        server = chat_echo()
        config = served(tmp_path / given, server.url, perturbations=grid, responses={"input": given}, sources=["self"])
        summary = run_build(config)
        assert len(server.bodies) == summary.caption_requests + summary.response_requests
        pairs = {kind: [pair for pair in read_pairs(summary.pairs_folder) if pair.kind == kind] for kind in ("view", "response")}
        assert pairs["view"] and all(pair.chosen == pair.rejected and pair.rejected_view for pair in pairs["view"])
        assert pairs["response"] and all(pair.other_videos for pair in pairs["response"])


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_server_writes_for_a_cluster(served, chat_echo, tmp_path: Path, tiny_checkpoint: Path) -> None:
    """The process that runs the build asks the server; workers of the cluster read videos and score."""
    server = chat_echo()
    runs = {}
    for kind in ("local", "ray"):
        config = served(tmp_path / kind, server.url, model=str(tiny_checkpoint), frames={}, runner={"kind": kind})
        runs[kind] = run_build(config).usage
    assert files_of(tmp_path / "ray") == files_of(tmp_path / "local")
    assert runs["ray"].model_calls == runs["local"].model_calls


def test_weights_at_hand_score_what_the_server_wrote(served, chat_echo, tmp_path: Path, tiny_checkpoint: Path) -> None:
    server = chat_echo()
    summary = run_build(served(tmp_path / "run", server.url, model=str(tiny_checkpoint), frames={}))
    assert (summary.model, summary.writer) == (str(tiny_checkpoint), "echo")
    pairs = read_pairs(summary.pairs_folder)
    assert pairs and all(pair.scores is not None and pair.fingerprint == summary.fingerprint for pair in pairs)


@pytest.mark.slow
def test_a_run_goes_on_behind_another_address_without_asking_again(served, chat_echo, fault_proxy, tmp_path: Path) -> None:
    first, second = chat_echo(), chat_echo()
    proxy = fault_proxy(first.url, share=0.3, faults=["500", "cut", "json", "html", "content"])
    proxy.dies_after = 30
    with pytest.raises(RunFailed, match="stopped answering"):
        run_build(served(tmp_path / "run", proxy.url, {"retries": 5}, batch_size=4))
    summary = run_build(served(tmp_path / "run", second.url, batch_size=4))
    asked_twice = messages(first.bodies) & messages(second.bodies)
    undisturbed = run_build(served(tmp_path / "whole", second.url, batch_size=4))
    assert read_pairs(summary.pairs_folder) == read_pairs(undisturbed.pairs_folder)
    assert sum(proxy.met.values()) > 5
    assert asked_twice.total() < 8  # the batch of four that was under way, and clips that look like another one
    stages = {stage.name: stage.usage.model_calls for stage in summary.stages}
    assert stages["06-captions"] == summary.caption_requests
    # a finished run needs no server
    second.close()
    assert run_build(served(tmp_path / "run", second.url, batch_size=4)).pairs == summary.pairs


def test_what_a_server_does_not_answer_is_counted(served, chat_echo, fault_proxy, tmp_path: Path) -> None:
    proxy = fault_proxy(chat_echo().url, share=0.1, faults=["html"])
    summary = run_build(served(tmp_path / "run", proxy.url, {"retries": 0}))
    counts = {stage.name: stage for stage in summary.stages}
    assert counts["06-captions"].failed == {"server_garbage": proxy.met["html"]} and proxy.met["html"] > 0
    assert counts["07-responses"].failed["no_caption"] > 0
    assert counts["06-captions"].usage.model_calls == counts["06-captions"].kept + counts["06-captions"].lost


def test_responses_from_views_and_merges_by_a_server(served, chat_echo, tmp_path: Path) -> None:
    server = chat_echo()
    summary = run_build(served(tmp_path / "clip", server.url, responses={"input": "clip"}, questions={"kinds": []}))
    assert summary.caption_requests == 0 and summary.response_requests == len(server.bodies) > 0
    server = chat_echo()
    merging = {"method": "model", "temperature": 0.5}
    merged = run_build(served(tmp_path / "merged", server.url, composer=merging, responses={"samples": 2}))
    pairs = [pair for pair in read_pairs(merged.pairs_folder) if pair.kind == "response"]
    assert pairs and all(pair.perturbation.parameters["response"]["input"] == "caption" for pair in pairs if pair.perturbation)
    sampled = [body for body in server.bodies if body["temperature"]]
    assert len({body["seed"] for body in sampled}) == len(sampled) and set(messages(sampled).values()) == {2}
    assert merged.usage.model_calls == len(server.bodies)


def test_a_server_that_cannot_be_used_is_one_line_and_leaves_nothing(served, chat_echo, tmp_path: Path) -> None:
    server = chat_echo(key="secret")
    for url, said in ((server.url, "refuses the key"), ("http://127.0.0.1:9/v1", "no OpenAI-compatible server answers there")):
        with pytest.raises(InputError, match=said):
            run_build(served(tmp_path / "run", url))
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_served_checkpoint_behind_faults(
    make_config, served_checkpoint: str, fault_proxy, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """`transformers serve` writes, the same weights at hand score; each of the three inputs, each with faults on the way."""
    for number, given in enumerate(("caption", "clip", "video")):
        proxy = fault_proxy(served_checkpoint, share=0.2, seed=number, faults=["500", "429", "cut", "html", "choices"])
        server = {"url": proxy.url, "model": str(tiny_checkpoint), "concurrency": 2, "timeout_s": 60}
        config = make_config(
            tmp_path / given,
            server=server,
            responses={"input": given, "max_new_tokens": 6},
            questions={"kinds": []},
            perturbations=[{"name": "reverse", "strength": 2}],
            clips={"method": "uniform", "seconds": 3.0},
            balance={"max_accuracy": 1.0},
        )
        summary = run_build(config)
        assert summary.by_kind["response"] > 0 and sum(proxy.met.values()) > 0
        asked = summary.caption_requests + summary.response_requests
        calls = {stage.name: stage.usage.model_calls for stage in summary.stages}
        assert len(proxy.passed) == asked == summary.usage.model_calls - calls["10-score"]
