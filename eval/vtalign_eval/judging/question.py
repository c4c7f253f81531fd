"""What a judge is asked, and what it found: plain data that benchmarks, grading and figures share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vtalign_eval.items import Item


@dataclass(frozen=True)
class JudgeQuestion:
    """The judgement of one reply.

    `prompt` is all that the judge reads. `read` tells from its words whether the reply is right; None: the words are no verdict.
    """

    question_id: str
    reply: str
    prompt: str
    read: Callable[[str], bool | None]


@dataclass(frozen=True)
class Judging:
    """How a benchmark asks a judge. `question` is None where there is nothing to ask: a rule graded the reply, or there is none.

    `prompts` are the texts that the questions are made of: they, with the settings of the judge, make the prompt hash.
    """

    prompts: tuple[str, ...]
    question: Callable[[Item, str | None], JudgeQuestion | None]


@dataclass(frozen=True)
class Verdict:
    """`correct` is None where the judge failed, `failure` then the reason's short word: wrong, and counted. `said`: its words."""

    correct: bool | None
    said: str | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Judged:
    """The verdicts of one judge, by question id.

    `name` and `prompt_hash` stand beside every figure that the judge had a part in: published ones used different judges.
    """

    name: str
    prompt_hash: str
    verdicts: Mapping[str, Verdict]

    @property
    def judge(self) -> dict[str, str]:
        return {"name": self.name, "prompt_hash": self.prompt_hash}

    def accepts(self, question_id: str) -> bool:
        """Whether the judge called the reply right. What it failed on, or was not asked, it did not."""
        verdict = self.verdicts.get(question_id)
        return verdict is not None and verdict.correct is True

    def summary(self) -> dict[str, Any]:
        """For results: the judge, how many replies it was given, and on how many it failed, by reason."""
        failed = [verdict.failure for verdict in self.verdicts.values() if verdict.correct is None]
        reasons = sorted({reason or "unreadable" for reason in failed})
        counts = {reason: sum((failure or "unreadable") == reason for failure in failed) for reason in reasons}
        return {**self.judge, "judged": len(self.verdicts), "failed": len(failed), "failures": counts}
