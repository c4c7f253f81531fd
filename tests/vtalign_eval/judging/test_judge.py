"""Verdicts of a judge on disk: which are kept, and what is a failure."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from vtalign.errors import InputError
from vtalign.judging.local_replier import LocalReplier
from vtalign.judging.text_lm import REFUSED
from vtalign.judging.verdict import read_verdict
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.items import Item
from vtalign_eval.judging import JudgeConfig, Judged, JudgeQuestion, Judging
from vtalign_eval.judging.judge import Judge, open_judge


def judged(model: Path, out: Path, texts: list[str], quiet: Console) -> Judged:
    """Verdicts of a local judge on bare texts."""
    asked = Judging(("{reply}",), lambda item, reply: JudgeQuestion(item.question_id, reply or "", reply or "", read_verdict))
    items = [Item(f"q{n}", "v.mp4", "v", "order", "?", (), "") for n in range(len(texts))]
    out.mkdir(exist_ok=True)
    return Judge(LocalReplier(JudgeConfig(model=str(model), max_new_tokens=8)), asked, 8).judge(items, texts, out, quiet)


def test_verdicts_are_kept_and_failures_are_not(parrot: Path, tmp_path: Path, quiet: Console) -> None:
    first = judged(parrot, tmp_path / "run", ["left", "right", "<|im_end|>", "left"], quiet)
    assert [first.verdicts[f"q{n}"].correct for n in range(4)] == [True, True, None, True]
    assert first.summary() | {"name": "", "prompt_hash": ""} == {
        "name": "", "prompt_hash": "", "judged": 4, "failed": 1, "failures": {REFUSED: 1}
    }  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "run" / "judge.jsonl").read_text().splitlines()]
    assert [row["reply"] for row in rows] == ["left", "right"], "the same prompt is asked once"
    assert judged(parrot, tmp_path / "run", ["left", "right", "<|im_end|>", "left"], quiet) == first


def test_a_judge_that_says_no_verdict_fails_on_everything(babbler: Path, tmp_path: Path, quiet: Console) -> None:
    found = judged(babbler, tmp_path / "run", ["left", "right"], quiet)
    assert found.summary()["failures"] == {"unreadable": 2} and not found.accepts("q0")
    assert not (tmp_path / "run" / "judge.jsonl").exists()


def test_benchmarks_that_rules_grade_have_no_use_for_a_judge(parrot: Path) -> None:
    shapes = find_benchmark("temporal-shapes")
    assert open_judge(None, shapes) is None
    with pytest.raises(InputError, match="'temporal-shapes' is graded by rules alone"):
        open_judge(JudgeConfig(model=str(parrot)), shapes)
