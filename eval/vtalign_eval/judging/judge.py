"""`Judge`: all open questions at once, to a server or a local model, with every verdict on disk as soon as it is there."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vtalign.errors import InputError
from vtalign.ids import stable_id
from vtalign.judging.replier import Replier, Said, open_replier
from vtalign_eval.benchmarks import Benchmark
from vtalign_eval.items import Item
from vtalign_eval.judging.config import JudgeConfig
from vtalign_eval.judging.question import Judged, JudgeQuestion, Judging, Verdict
from vtalign_eval.judging.verdict_log import VerdictLog, VerdictRow
from vtalign_eval.progress import progress_bars

_VERSION = 2  # rises whenever the same prompt would be asked or its reply read in another way
UNREADABLE = "unreadable"


class Judge:
    """One judge for one benchmark. `prompt_hash` covers the prompts' texts, the settings and the way verdicts are read."""

    def __init__(self, replier: Replier, judging: Judging, max_new_tokens: int, cache: Path | None = None) -> None:
        self._replier, self._judging, self._cache = replier, judging, cache
        self.prompt_hash = stable_id(
            "judge", list(judging.prompts), {"temperature": 0, "max_new_tokens": max_new_tokens}, _VERSION
        )

    @property
    def name(self) -> str:
        return self._replier.name

    def check(self) -> None:
        """Raises InputError where the judge cannot be asked."""
        self._replier.check()

    def judge(self, items: Sequence[Item], replies: Sequence[str | None], folder: Path, console: Console) -> Judged:
        """Verdicts on the `replies` to `items` that no rule grades, kept in `folder`: what is there already is not asked again.

        Failures are not kept: a run that goes on tries them again. Raises InputError where the judge cannot be asked, RunFailed
        where it stopped answering.
        """
        asked = [self._judging.question(item, reply) for item, reply in zip(items, replies, strict=True)]
        questions = [question for question in asked if question is not None]
        log = VerdictLog(folder, self._cache)
        keys = [self._key(question) for question in questions]
        log.adopt(keys)
        pending = {key: question for key, question in zip(keys, questions, strict=True) if key not in log.said}
        failed = self._ask(pending, log, console) if pending else {}
        verdicts = {
            question.question_id: _verdict(question, failed.get(key) or Said(log.said.get(key)))
            for key, question in zip(keys, questions, strict=True)
        }
        return Judged(self.name, self.prompt_hash, verdicts)

    def _key(self, question: JudgeQuestion) -> str:
        return stable_id("verdict", self.name, self.prompt_hash, question.prompt)

    def _ask(self, pending: dict[str, JudgeQuestion], log: VerdictLog, console: Console) -> dict[str, Said]:
        """Ask what is pending, into `log`. Returns what came back without a verdict, by key."""
        self.check()
        keys, questions = list(pending), list(pending.values())
        failed: dict[str, Said] = {}
        with progress_bars(console) as bars:
            bar = bars.add_task("verdicts", total=len(questions))

            def on_said(place: int, said: Said) -> None:
                key, question = keys[place], questions[place]
                if said.text is None or question.read(said.text) is None:
                    failed[key] = said
                else:
                    row = {"judge": self.name, "prompt_hash": self.prompt_hash, "question_id": question.question_id}
                    log.add(VerdictRow(key=key, reply=question.reply, said=said.text, **row))
                bars.advance(bar)

            self._replier.reply([question.prompt for question in questions], on_said)
        return failed


def open_judge(config: JudgeConfig | None, benchmark: Benchmark) -> Judge | None:
    """The judge of a run; None where none is asked for. Raises InputError for a benchmark that has no use for one."""
    if config is None:
        return None
    if benchmark.judging is None:
        raise InputError(f"judge: benchmark '{benchmark.name}' is graded by rules alone; leave the judge out")
    return Judge(open_replier(config, config.name), benchmark.judging, config.max_new_tokens, config.cache)


def _verdict(question: JudgeQuestion, said: Said) -> Verdict:
    if said.text is None:
        return Verdict(None, None, said.failure)
    correct = question.read(said.text)
    return Verdict(correct, said.text, None if correct is not None else UNREADABLE)
