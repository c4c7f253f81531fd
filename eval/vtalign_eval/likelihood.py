"""Likelihood scoring: which option does the model hold to be the most likely reply, whatever it would write?

Every option is scored as the response to the prompt that the model answers, all of them on one row: the video is read once. An
option's log-prob is that of the replies which say it and nothing else (`Benchmark.spellings`, end of turn included), sums of token
log-probs as in lm-eval-harness's `acc`. Where there are several (`A`, `A. left`; `yes`, `Yes.`), their probabilities add up: they are
different replies that a rule reads alike, and which of them a model prefers says nothing about the video (surface form competition,
https://arxiv.org/abs/2104.08315). With the end of turn, an option that begins another one is not favoured. There is no division by
length (lm-eval-harness's `acc_norm`): it favours long options whose ends can be told from their beginnings, as those that the prompt
lists can. All log-probs and token counts are kept, so that any other choice can be computed from `likelihoods.jsonl`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict

from vtalign.artifacts import append_jsonl, read_jsonl
from vtalign.config import Config, validate_config
from vtalign.ids import stable_id
from vtalign.models.requests import Row
from vtalign.video.frames import FrameStore
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.outcomes import Outcome
from vtalign_eval.predict import Question, prompt_of
from vtalign_eval.rank_files import file_of_rank, files_of_all_ranks
from vtalign_eval.views import ShownVideos

if TYPE_CHECKING:
    from vtalign.models.video_lm import VideoLM

LIKELIHOODS = "likelihoods.jsonl"
# Nats. Rounding, which differs from batch to batch, would decide between options that are closer.
_TIE = 1e-3


@dataclass(frozen=True)
class OptionScores:
    """By option and spelling: the log-prob (nats) of the reply, and its tokens, both with the end of turn."""

    logps: tuple[tuple[float, ...], ...]
    tokens: tuple[tuple[int, ...], ...]


def likely_option(options: Sequence[str], scores: OptionScores) -> str | None:
    """The option whose spellings are the most probable together. None for a tie: the first one would be a guess."""
    totals = [_log_sum(logps) for logps in scores.logps]
    best = max(totals)
    # what is not a number is not below the best one: a model that computes none has chosen nothing
    close = [option for option, total in zip(options, totals, strict=True) if not total < best - _TIE]
    return close[0] if len(close) == 1 else None


def score_options(
    lm: "VideoLM", questions: Sequence[Question], benchmark: Benchmark, shown: ShownVideos, store: FrameStore, batch_size: int
) -> list[OptionScores]:
    """Scores of every option of every question; `batch_size` counts the replies that are scored together."""
    spelled = [spellings_of(question, benchmark) for question in questions]
    rows = [
        Row(prompt_of(question, shown), tuple(text for texts in spellings for text in texts))
        for question, spellings in zip(questions, spelled, strict=True)
    ]
    together = max(1, batch_size // max(len(row.responses) for row in rows))
    found = []
    for spellings, responses in zip(spelled, lm.score(rows, store, batch_size=together), strict=True):
        scored = iter(responses)
        by_option = [[next(scored) for _ in texts] for texts in spellings]
        found.append(
            OptionScores(
                tuple(tuple(response.total for response in group) for group in by_option),
                tuple(tuple(response.count for response in group) for group in by_option),
            )
        )
    return found


def spellings_of(question: Question, benchmark: Benchmark) -> list[tuple[str, ...]]:
    """By option, the replies that are scored."""
    return [benchmark.spellings(option, question.item.task) for option in question.item.options]


class _LogRow(Config):
    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    logps: tuple[tuple[float, ...], ...]
    tokens: tuple[tuple[int, ...], ...]


class LikelihoodLog:
    """Option scores in an append-only JSONL file beside the replies, one row per question that has options."""

    def __init__(self, path: Path, benchmark: Benchmark, rank: int = 0) -> None:
        self._path, self._benchmark = file_of_rank(path, rank), benchmark
        self._scores: dict[str, OptionScores] = {}
        for file in files_of_all_ranks(path):
            for row in read_jsonl(file):
                parsed = validate_config(_LogRow, row, f"{file}; remove the file to start again")
                self._scores[parsed.key] = OptionScores(parsed.logps, parsed.tokens)

    def missing(self, questions: Sequence[Question]) -> list[Question]:
        """Those with options that are not scored yet."""
        return [question for question in questions if question.item.options and self._key(question) not in self._scores]

    def add(self, lm: "VideoLM", questions: Sequence[Question], shown: ShownVideos, store: FrameStore, batch_size: int) -> None:
        """Score what is missing of `questions`, a batch at a time, and keep it durably."""
        missing = self.missing(questions)
        for start in range(0, len(missing), batch_size):
            batch = missing[start : start + batch_size]
            scores = score_options(lm, batch, self._benchmark, shown, store, batch_size)
            self._scores.update({self._key(question): found for question, found in zip(batch, scores, strict=True)})
            append_jsonl(self._path, [self._row(question, found) for question, found in zip(batch, scores, strict=True)])

    def added_to(self, outcomes: Sequence[Outcome], questions: Sequence[Question]) -> list[Outcome]:
        """`outcomes` with the likely choice of all that have options; without scores (no video) there is none, which is wrong."""
        asked = {question.item.question_id: question for question in questions}
        return [self._with_choice(outcome, asked[outcome.question_id]) for outcome in outcomes]

    def _with_choice(self, outcome: Outcome, question: Question) -> Outcome:
        if not outcome.options:
            return outcome
        scores = self._scores.get(self._key(question)) if outcome.reply is not None else None
        choice = None if scores is None else likely_option(outcome.options, scores)
        return replace(
            outcome, likely_choice=choice, likely_correct=choice is not None and choice.strip() == outcome.answer.strip()
        )

    def _key(self, question: Question) -> str:
        return stable_id("likelihood", question.key, spellings_of(question, self._benchmark))

    def _row(self, question: Question, scores: OptionScores) -> dict[str, Any]:
        return {
            "key": self._key(question),
            "question_id": question.item.question_id,
            "options": list(question.item.options),
            "spellings": spellings_of(question, self._benchmark),
            "logps": scores.logps,
            "tokens": scores.tokens,
        }


def undecided(outcomes: Sequence[Outcome]) -> int:
    """Questions whose options were scored and none was the most likely one."""
    return sum(o.likely_correct is not None and o.likely_choice is None and o.failure is None for o in outcomes)


def _log_sum(logps: Sequence[float]) -> float:
    best = max(logps)
    return best + math.log(math.fsum(math.exp(logp - best) for logp in logps))
