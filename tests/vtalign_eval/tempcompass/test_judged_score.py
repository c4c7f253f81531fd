"""`vtalign eval score` and `eval compare` with a judge on a server."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import GateNotMet, InputError, RunFailed
from vtalign_eval.compare import compare_runs
from vtalign_eval.score import ScoreConfig, run_score

Serve = Callable[[Callable[[str], str | int]], Any]


def config(data: Path, predictions: Path, out: str = "scored", **changes: Any) -> ScoreConfig:
    return ScoreConfig(data=data, predictions=predictions, out=data.parent / out, **changes)


def say(folder: Path, task: str, video: str, reply: str, aspect: str = "direction") -> None:
    path = folder / f"{task}.json"
    found = json.loads(path.read_text())
    found[video][aspect][0]["prediction"] = reply
    path.write_text(json.dumps(found))


@pytest.fixture
def chatty(perfect: Path) -> Path:
    """Right predictions but for three that no rule matches: `leftwards`, `surely` and a caption."""
    say(perfect, "multi-choice", "1", "leftwards")
    say(perfect, "yes_no", "1", "surely")
    say(perfect, "captioning", "1", "A ball rolls to the left.")
    return perfect


def kind(prompt: str) -> str:
    return next(word for word in ("leftwards", "surely", "A ball rolls") if word in prompt)


def always_right(prompt: str) -> str:
    return "Answer: A" if kind(prompt) == "A ball rolls" else "Correct"


def averages(results: dict[str, Any], reading: str) -> dict[str, float]:
    found = results["vtalign"]["tempcompass"]
    return {task: figures[reading]["avg"]["accuracy"] for task, figures in found.items() if reading in figures}


def without(results: dict[str, Any]) -> dict[str, Any]:
    """The numbers by rule."""
    found = results["vtalign"]
    kept = {name: number for name, number in found["metrics"].items() if "judged" not in name}
    tasks = {task: {n: v for n, v in columns.items() if n != "judged"} for task, columns in found["tasks"].items()}
    return {"metrics": kept, "tasks": {t: c for t, c in tasks.items() if c}, "counts": found["counts"], "chance": found["chance"]}


def test_a_judge_is_asked_what_no_rule_matches_and_stands_beside_the_rules(
    tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console
) -> None:
    server = chat_server(always_right)
    plain = run_score(config(tempcompass, chatty, "plain"), quiet)
    text = StringIO()
    results = run_score(config(tempcompass, chatty, judge=server.config()), Console(file=text, width=160))
    assert sorted(map(kind, server.prompts)) == ["A ball rolls", "leftwards", "surely"]
    assert (
        averages(results, "rule") == averages(plain, "rule") == {"multi-choice": 66.7, "yes_no": 66.7, "caption_matching": 100.0}
    )
    assert set(averages(results, "judged").values()) == {100.0} and len(averages(results, "judged")) == 4
    assert without(results) == without(plain), "the headline is the rules' own"
    assert "temporal_judged" not in plain["vtalign"]["metrics"] and "judge" not in plain["vtalign"]
    found = results["vtalign"]
    assert (found["metrics"]["temporal"]["value"], found["metrics"]["temporal_judged"]["value"]) == (pytest.approx(5 / 7), 1.0)
    assert found["metrics"]["temporal_judged"]["n"] == found["metrics"]["temporal"]["n"] == 7
    assert found["aspects"]["direction"]["judged"]["value"] == 1.0 and found["tasks"]["captioning"]["judged"]["n"] == 1
    assert found["tasks"]["captioning"].keys() == {"judged"}
    judge = {"name": server.name, "prompt_hash": found["judge"]["prompt_hash"]}
    assert found["judge"] == {**judge, "judged": 3, "failed": 0, "failures": {}}
    assert found["tempcompass"]["captioning"]["judge"] == judge
    assert f"judge {server.name}, prompt {judge['prompt_hash']}: 1 replies judged" in text.getvalue()
    graded = json.loads((tempcompass.parent / "scored" / "auto_eval_results" / "captioning.json").read_text())
    assert graded["1"]["direction"][0]["rating"] == 1 and graded["1"]["direction"][0]["chatgpt-answer"] == "Answer: A"
    samples = [
        json.loads(line) for line in (tempcompass.parent / "scored" / "samples_tempcompass.jsonl").read_text().splitlines()
    ]
    assert [(row["correct"], row["judged_correct"], row["score"]) for row in samples if row["task"] == "captioning"] == [
        (False, True, 1.0)
    ]


@pytest.mark.parametrize("said", ["", "perhaps", "Correct or Incorrect", 500, 400])
def test_a_judge_that_fails_lowers_and_never_raises(
    tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console, said: str | int
) -> None:
    server = chat_server(lambda prompt: said)
    found = run_score(config(tempcompass, chatty, judge=server.config()), quiet)["vtalign"]
    assert found["metrics"]["temporal_judged"]["value"] == found["metrics"]["temporal"]["value"] == pytest.approx(5 / 7)
    assert found["tasks"]["captioning"]["judged"]["value"] == 0.0
    reason = {"500": "server_error", "400": "server_refused"}.get(str(said), "unreadable")
    assert found["judge"]["failed"] == 3 and found["judge"]["failures"] == {reason: 3}
    assert [found["tempcompass"][task]["counts"]["judge_failed"] for task in ("multi-choice", "yes_no", "captioning")] == [
        1,
        1,
        1,
    ]
    # nothing of it is kept: the next attempt asks again
    server.answer = always_right
    again = run_score(config(tempcompass, chatty, judge=server.config()), quiet)["vtalign"]
    assert again["judge"]["failed"] == 0 and again["metrics"]["temporal_judged"]["value"] == 1.0


def test_nothing_is_asked_twice(tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console) -> None:
    server = chat_server(always_right)
    settings = config(tempcompass, chatty, judge=server.config())
    run_score(settings, quiet)
    before = (settings.out / "results.json").read_bytes()
    log = settings.out / "judge.jsonl"
    assert len(log.read_text().splitlines()) == len(server.prompts) == 3
    server.stop()
    run_score(settings, quiet)  # what is known needs no server
    assert (settings.out / "results.json").read_bytes() == before and len(server.prompts) == 3


def test_a_torn_log_costs_the_torn_verdict_alone(tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console) -> None:
    server = chat_server(always_right)
    settings = config(tempcompass, chatty, judge=server.config())
    run_score(settings, quiet)
    whole = (settings.out / "results.json").read_bytes()
    log = settings.out / "judge.jsonl"
    log.write_bytes(log.read_bytes()[:-5])
    (settings.out / "results.json").unlink()
    run_score(settings, quiet)
    assert len(server.prompts) == 4 and (settings.out / "results.json").read_bytes() == whole
    assert len({json.loads(line)["key"] for line in log.read_text().splitlines()}) == 3


def test_a_judge_that_stops_answering_ends_the_run_which_then_goes_on(
    tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console
) -> None:
    path = chatty / "captioning.json"
    caption = json.loads(path.read_text())["1"]["direction"][0]
    questions = [{**caption, "question": f"{number} {caption['question']}"} for number in range(30)]
    (tempcompass / "questions" / "captioning.json").write_text(json.dumps({"1": {"direction": questions}}))
    for number, row in enumerate(questions):
        row["prediction"] = f"A ball rolls {number} times"
    path.write_text(json.dumps({"1": {"direction": questions}}))
    server = chat_server(lambda prompt: always_right(prompt) if len(server.prompts) <= 8 else 503)
    judge = server.config()
    slow = judge.model_copy(update={"server": judge.server.model_copy(update={"concurrency": 1})})
    settings = config(tempcompass, chatty, judge=slow)
    with pytest.raises(RunFailed, match="stopped answering"):
        run_score(settings, quiet)
    assert not (settings.out / "results.json").exists()
    assert len((settings.out / "judge.jsonl").read_text().splitlines()) == 8
    asked, server.answer = len(server.prompts), always_right
    assert run_score(settings, quiet)["vtalign"]["tasks"]["captioning"]["judged"]["value"] == 1.0
    assert len(server.prompts) == asked + 32 - 8


def test_no_server_is_one_line(tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console) -> None:
    server = chat_server(always_right)
    server.stop()
    with pytest.raises(InputError, match=r"127\.0\.0\.1.*no OpenAI-compatible server answers"):
        run_score(config(tempcompass, chatty, judge=server.config()), quiet)


def test_a_cache_is_shared_by_runs(tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console) -> None:
    server = chat_server(always_right)
    judge = server.config(cache=tempcompass.parent / "verdicts")
    first = run_score(config(tempcompass, chatty, "a", judge=judge), quiet)
    second = run_score(config(tempcompass, chatty, "b", judge=judge), quiet)
    assert len(server.prompts) == 3 and first["vtalign"]["judge"] == second["vtalign"]["judge"]
    a, b = ((tempcompass.parent / name / "judge.jsonl").read_text().splitlines() for name in "ab")
    assert sorted(a) == sorted(b), "each run holds all of its verdicts"


def test_another_length_is_another_prompt_hash(tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console) -> None:
    server = chat_server(always_right)
    found = [
        run_score(config(tempcompass, chatty, f"n{n}", judge=server.config(max_new_tokens=n)), quiet)["vtalign"]["judge"]
        for n in (64, 65)
    ]
    assert found[0]["prompt_hash"] != found[1]["prompt_hash"] and len(server.prompts) == 6


def test_a_judge_is_added_to_what_is_scored_and_changed(
    tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console
) -> None:
    """What is written follows the record of the last command; a verdict of another judge is never taken over."""
    mild, strict = chat_server(always_right), chat_server(lambda prompt: "Answer: B" if "A ball" in prompt else "Incorrect")
    plain = run_score(config(tempcompass, chatty), quiet)
    judged = run_score(config(tempcompass, chatty, judge=mild.config()), quiet)["vtalign"]
    assert judged["metrics"]["temporal_judged"]["value"] == 1.0
    other = run_score(config(tempcompass, chatty, judge=strict.config()), quiet)["vtalign"]
    assert len(strict.prompts) == 3 and other["metrics"]["temporal_judged"]["value"] == pytest.approx(5 / 7)
    assert (judged["judge"]["name"], other["judge"]["name"]) == (mild.name, strict.name)
    back = run_score(config(tempcompass, chatty, judge=mild.config()), quiet)["vtalign"]
    assert back == judged and len(mild.prompts) == 3, "its verdicts are still there"
    assert run_score(config(tempcompass, chatty), quiet) == plain


def test_a_name_vouches_for_a_judge_that_moved(tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console) -> None:
    first, moved = chat_server(always_right), chat_server(always_right)
    for server in (first, moved):
        found = run_score(config(tempcompass, chatty, judge=server.config(name="qwen")), quiet)
    assert found["vtalign"]["judge"]["name"] == "judge-1@qwen"
    assert (len(first.prompts), len(moved.prompts)) == (3, 0)


def test_a_gate_on_the_judged_figure(tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console) -> None:
    server = chat_server(lambda prompt: "Incorrect")
    gate = {"fail_under": 0.9, "fail_on": "temporal_judged"}
    with pytest.raises(GateNotMet, match=r"temporal judged 0\.7143 is below 0\.9"):
        run_score(config(tempcompass, chatty, judge=server.config(), **gate), quiet)
    server.answer = always_right
    run_score(config(tempcompass, chatty, "right", judge=server.config(), **gate), quiet)


def test_verdicts_are_compared_under_one_judge_alone(tempcompass: Path, chatty: Path, chat_server: Serve, quiet: Console) -> None:
    right, strict = chat_server(always_right), chat_server(lambda prompt: "Answer: B" if "A ball" in prompt else "Incorrect")
    runs = {
        "plain": None,
        "mild": right.config(name="one"),
        "strict": strict.config(name="one"),
        "other": right.config(name="one", max_new_tokens=8),
    }
    folders = {name: tempcompass.parent / name for name in runs}
    for name, judge in runs.items():
        run_score(config(tempcompass, chatty, name, judge=judge), quiet)

    same = compare_runs(folders["mild"], folders["strict"], console=quiet)
    judged = same["metrics"]["temporal_judged"]
    assert (judged["a"], judged["b"], judged["n"]) == (1.0, pytest.approx(5 / 7), 7)
    assert same["tasks"]["captioning"]["judged"]["difference"] == -1.0
    assert same["pairs"][0]["questions"] == 7 and same["metrics"]["temporal"]["difference"] == 0.0
    assert same["judge"]["a"] == same["judge"]["b"] is not None

    with pytest.raises(InputError, match=r"not comparable: judge prompt_hash is .* in A"):
        compare_runs(folders["mild"], folders["other"], console=quiet)
    assert compare_runs(folders["mild"], folders["other"], force=True, console=quiet)["forced"]

    text = StringIO()
    one_sided = compare_runs(folders["plain"], folders["mild"], console=Console(file=text, width=160))
    assert "temporal_judged" not in one_sided["metrics"] and "captioning" not in one_sided["tasks"]
    assert one_sided["metrics"]["temporal"]["difference"] == 0.0 and not one_sided["forced"]
    assert "verdicts are left out: only B has a judge" in text.getvalue()
