"""`vtalign eval run` with a judge: the answers come first, then the verdicts."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import InputError
from vtalign_eval.check import CheckConfig, check_eval
from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval

Serve = Callable[[Callable[[str], str | int]], Any]


@pytest.fixture
def filmed(tempcompass: Path, write_video: Callable[..., None]) -> Path:
    """The benchmark with its videos."""
    (tempcompass / "videos").mkdir()
    for seed, name in enumerate(("1", "1_reverse", "2")):
        write_video(tempcompass / "videos" / f"{name}.mp4", seed=seed, frames=8)
    return tempcompass


@pytest.fixture
def make(filmed: Path, tiny_checkpoint: Path, tmp_path: Path) -> Callable[..., EvalConfig]:
    def config(out: str, **changes: Any) -> EvalConfig:
        settings = {"model": str(tiny_checkpoint), "benchmark": "tempcompass", "data": filmed, "max_new_tokens": 6, **changes}
        return EvalConfig(out=tmp_path / out, **settings)

    return config


def always_right(prompt: str) -> str:
    return "Answer: A" if "<<<description" in prompt else "Correct"


def by_rule(results: dict[str, Any]) -> dict[str, Any]:
    found = results["vtalign"]
    return {**{n: v for n, v in found["metrics"].items() if "judged" not in n}, "counts": found["counts"]}


def test_verdicts_are_added_to_a_run_and_change_none_of_its_answers(
    make: Callable[..., EvalConfig], chat_server: Serve, quiet: Console
) -> None:
    plain = run_eval(make("run"), quiet)
    predictions = (make("run").out / "predictions.jsonl").read_bytes()
    server, text = chat_server(always_right), StringIO()
    judged = run_eval(make("run", judge=server.config()), Console(file=text, width=120))
    assert (make("run").out / "predictions.jsonl").read_bytes() == predictions
    assert by_rule(judged) == by_rule(plain)
    found = judged["vtalign"]
    assert found["judge"]["judged"] >= 1 and found["judge"]["failed"] == 0
    assert found["metrics"]["temporal_judged"]["value"] > found["metrics"]["temporal"]["value"]
    assert found["tasks"]["captioning"]["judged"]["value"] == 1.0
    assert "temporal, with judge" in text.getvalue() and f"prompt {found['judge']['prompt_hash']}" in text.getvalue()
    assert "captioning, by the judge alone: 100.0 % of 1" in text.getvalue()
    figures = json.loads((make("run").out / "tempcompass.json").read_text())
    assert figures["captioning"]["judged"]["avg"]["accuracy"] == 100.0 and figures["yes_no"]["judge"]["name"] == server.name
    # all at once, in another folder: the same
    at_once = run_eval(make("fresh", judge=server.config()), quiet)
    assert at_once["vtalign"]["metrics"] == found["metrics"] and at_once["vtalign"]["judge"] == found["judge"]


def test_a_run_that_was_stopped_among_its_verdicts_goes_on(
    make: Callable[..., EvalConfig], chat_server: Serve, quiet: Console
) -> None:
    server = chat_server(always_right)
    config = make("run", judge=server.config())
    run_eval(config, quiet)
    whole = {name: (config.out / name).read_bytes() for name in ("results.json", "samples_tempcompass.jsonl", "tempcompass.json")}
    asked = len(server.prompts)
    log = config.out / "judge.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    for name in whole:
        (config.out / name).unlink()
    log.write_bytes(b"".join(lines[:1]) + lines[1][:10])
    run_eval(config, quiet)
    assert {name: (config.out / name).read_bytes() for name in whole} == whole
    assert len(server.prompts) - asked == len(lines) - 1


def test_controls_are_judged_too(make: Callable[..., EvalConfig], chat_server: Serve, quiet: Console) -> None:
    server = chat_server(always_right)
    results = run_eval(make("run", judge=server.config(), controls=("text",)), quiet)
    gains = results["vtalign"]["gains"]["text"]
    assert gains["tasks"]["captioning"]["judged"]["gain"] == 0.0 and "temporal_judged" in gains["metrics"]
    assert (make("run").out / "controls" / "text" / "judge.jsonl").is_file()


def test_a_judge_that_is_not_there_is_found_before_anything_is_answered(
    make: Callable[..., EvalConfig], chat_server: Serve, quiet: Console
) -> None:
    server = chat_server(always_right)
    server.stop()
    config = make("run", judge=server.config())
    with pytest.raises(InputError, match="no OpenAI-compatible server answers"):
        run_eval(config, quiet)
    assert not (config.out / "predictions.jsonl").exists()


def test_a_video_that_cannot_be_read_is_wrong_and_not_judged(
    make: Callable[..., EvalConfig], filmed: Path, chat_server: Serve, quiet: Console
) -> None:
    (filmed / "videos" / "1.mp4").write_bytes(b"no video")
    server = chat_server(always_right)
    found = run_eval(make("run", judge=server.config()), quiet)["vtalign"]
    assert found["tasks"]["captioning"]["judged"]["value"] == 0.0 and found["counts"]["decode_failed"] == 4
    assert not [prompt for prompt in server.prompts if "<<<description" in prompt]


def test_a_gate_on_the_judged_figure_is_known_beforehand(filmed: Path, chat_server: Serve) -> None:
    gate = {"benchmark": "tempcompass", "data": filmed, "fail_on": "temporal_judged"}
    assert "temporal_judged" in check_eval(CheckConfig(**gate, judge=chat_server(always_right).config()))
    with pytest.raises(InputError, match="does not measure it"):
        check_eval(CheckConfig(**gate))


def test_a_judge_is_checked_as_a_run_does(filmed: Path, chat_server: Serve) -> None:
    server = chat_server(always_right)
    said = check_eval(CheckConfig(benchmark="tempcompass", data=filmed, judge=server.config()))
    assert f"judge {server.name} grades 1 of them (captioning)" in said and server.prompts == []
    (filmed / "questions.jsonl").write_text(
        '{"question_id": "q", "video": "videos/1.mp4", "family": "f", "aspect": "order", "events": 1, "question": "which ?", '
        '"options": ["a", "b"], "answer": "a"}\n'
    )
    with pytest.raises(InputError, match="graded by rules alone"):
        check_eval(CheckConfig(benchmark="temporal-shapes", data=filmed, judge=server.config()))
    server.stop()
    with pytest.raises(InputError, match="no OpenAI-compatible server answers"):
        check_eval(CheckConfig(benchmark="tempcompass", data=filmed, judge=server.config()))
