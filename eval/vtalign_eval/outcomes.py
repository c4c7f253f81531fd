"""`Outcome`: one graded question, and the samples file (lmms-eval's layout) that keeps all of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from vtalign.artifacts import write_atomic
from vtalign.config import Config, validate_config
from vtalign.ids import stable_id
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.grade import Grade, normalise
from vtalign_eval.items import Item, read_lines
from vtalign_eval.reply import Reply

_LIKELY = ("likely_choice", "likely_correct")


@dataclass(frozen=True)
class Outcome:
    """What metrics and comparisons know of a question: where it belongs, what was said and how that was read.

    `judged_correct`: by rule, and where no rule grades the reply by the run's judge; None in runs without one.
    `likely_correct` is None where options were not scored by their likelihood, `likely_choice` also where they tie.
    """

    question_id: str
    video: str
    family: str
    aspect: str
    group: str | None
    events: int | None
    question: str
    options: tuple[str, ...]
    answer: str
    reply: str | None
    choice: str | None
    correct: bool
    lenient_choice: str | None
    lenient_correct: bool
    failure: str | None = None
    cut: bool = False
    uncontrolled: bool = False
    task: str = ""
    judged_correct: bool | None = None
    likely_choice: str | None = None
    likely_correct: bool | None = None

    @property
    def said(self) -> str | None:
        """What counts as the same answer to a sibling: the option chosen, else the words; None where there is no reply."""
        if self.choice is not None or self.reply is None:
            return self.choice
        return f"unparsable: {normalise(self.reply)}"


def outcome_of(item: Item, reply: Reply, grade: Grade, judged_correct: bool | None = None) -> Outcome:
    return Outcome(
        question_id=item.question_id,
        video=item.video,
        family=item.family,
        aspect=item.aspect,
        group=item.group,
        events=item.events,
        question=item.question,
        options=item.options,
        answer=item.answer,
        reply=reply.text,
        choice=grade.choice,
        correct=grade.correct,
        lenient_choice=grade.lenient_choice,
        lenient_correct=grade.lenient_correct,
        failure=reply.failure,
        cut=reply.cut,
        uncontrolled=reply.uncontrolled,
        task=item.task,
        judged_correct=judged_correct,
    )


def samples_file(benchmark: str) -> str:
    return f"samples_{benchmark}.jsonl"


def write_samples(path: Path, outcomes: Sequence[Outcome], benchmark: Benchmark) -> None:
    """Rows in item order. `score` is the field that lmms-eval's baseline loader reads; no other field may have it in its name."""
    lines = []
    for number, outcome in enumerate(outcomes):
        row = {
            "doc_id": number,
            "target": outcome.answer,
            "input": benchmark.prompt(outcome.question, outcome.task),
            "resps": [[outcome.reply or ""]],
            "filtered_resps": [outcome.choice or ""],
            "doc_hash": stable_id("doc", outcome.video, outcome.question, list(outcome.options), outcome.answer),
            "score": float(outcome.judged_correct is True if outcome.task in benchmark.judged_tasks else outcome.correct),
            **{name: getattr(outcome, name) for name in Outcome.__dataclass_fields__ if name not in ("answer", *_LIKELY)},
        }
        if outcome.likely_correct is not None:
            row |= {name: getattr(outcome, name) for name in _LIKELY}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_atomic(path, "".join(lines))


class _SampleRow(Config):
    """The fields of a samples row that a comparison reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    question_id: str
    video: str
    family: str
    aspect: str
    group: str | None
    events: int | None
    question: str
    options: tuple[str, ...]
    target: str
    reply: str | None
    choice: str | None
    correct: bool
    lenient_choice: str | None
    lenient_correct: bool
    failure: str | None
    cut: bool
    uncontrolled: bool
    task: str = ""
    judged_correct: bool | None = None
    likely_choice: str | None = None
    likely_correct: bool | None = None


def read_samples(path: Path) -> list[Outcome]:
    """The outcomes that `write_samples` wrote. Raises InputError `file:line: field: reason`."""
    outcomes = []
    for number, raw in read_lines(path):
        fields = validate_config(_SampleRow, raw, f"{path}:{number}").model_dump()
        outcomes.append(Outcome(answer=fields.pop("target"), **fields))
    return outcomes


def failed_on_server(outcome: Outcome) -> bool:
    """Whether there is no reply because the server gave none (see `vtalign.remote.requests.Reason`)."""
    return outcome.failure is not None and outcome.failure.startswith("server_")


def failures_by_reason(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Per reason: how many questions it cost, and which videos."""
    reasons: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        if outcome.failure is not None:
            entry = reasons.setdefault(outcome.failure, {"questions": 0, "videos": []})
            entry["questions"] += 1
            if outcome.video not in entry["videos"]:
                entry["videos"].append(outcome.video)
    return {reason: {**entry, "videos": sorted(entry["videos"])} for reason, entry in sorted(reasons.items())}
