"""`Graded`: one TempCompass reply under the published rules, under the lenient reading, and by a judge where there is one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vtalign_eval.grade import Grade
from vtalign_eval.items import Item
from vtalign_eval.judging import Judged, Verdict
from vtalign_eval.tempcompass.lenient import read_leniently
from vtalign_eval.tempcompass.questions import CAPTIONING, TempCompassItem
from vtalign_eval.tempcompass.rules import Match, match


@dataclass(frozen=True)
class Graded:
    """`reply` is None for a null prediction and for a missing one. `match` is None where no rule matched (of captions: always)."""

    item: TempCompassItem
    reply: str | None
    is_missing: bool
    match: Match | None
    lenient_choice: str | None
    verdict: Verdict | None

    @property
    def matched(self) -> bool:
        return self.match is not None

    @property
    def correct_by_rule(self) -> bool:
        return self.match is not None and self.match.correct

    @property
    def correct_leniently(self) -> bool:
        return self.lenient_choice is not None and self.lenient_choice == self.item.answer.strip()

    @property
    def correct(self) -> bool:
        """By rule, else by the judge."""
        return self.correct_by_rule or (self.verdict is not None and self.verdict.correct is True)

    @property
    def grade(self) -> Grade:
        """By rule alone: figures with a judge stand beside these."""
        choice = None if self.match is None else self.match.choice
        return Grade(choice, self.correct_by_rule, self.lenient_choice, self.correct_leniently)


def grade_replies(
    items: Sequence[TempCompassItem], replies: Mapping[str, str | None], judged: Judged | None = None
) -> tuple[Graded, ...]:
    """Every item, in order; one whose question id is not in `replies` is missing and wrong."""
    verdicts = {} if judged is None else judged.verdicts
    return tuple(
        _graded(item, replies.get(item.question_id), item.question_id not in replies, verdicts.get(item.question_id))
        for item in items
    )


def grade(reply: str | None, item: Item) -> Grade:
    """How a benchmark grades: by rule alone. Captions have no rule."""
    found = match(reply, item)
    lenient = read_leniently(reply, item)
    right = lenient is not None and lenient == item.answer.strip()
    return Grade(None if found is None else found.choice, found is not None and found.correct, lenient, right)


def _graded(item: TempCompassItem, reply: str | None, is_missing: bool, verdict: Verdict | None) -> Graded:
    captioning = item.task == CAPTIONING
    found = None if captioning else match(reply, item)
    lenient = None if captioning else read_leniently(reply, item)
    return Graded(item, reply, is_missing, found, lenient, verdict)
