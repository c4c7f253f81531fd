"""Grading a reply by the option it chooses. What cannot be told is unparsable, is counted, and is never guessed.

Two readings (`vtalign.choices`), reported side by side. Exact: the whole reply is one option. Lenient: the reply mentions one option
and no other.
"""

from dataclasses import dataclass

from vtalign.choices import exact_choice, lenient_choice, mentioned_option, normalise, read_yes_no
from vtalign_eval.items import Item

__all__ = ["Grade", "exact_choice", "grade_options", "lenient_choice", "mentioned_option", "normalise", "read_yes_no"]


@dataclass(frozen=True)
class Grade:
    """How a reply was read: the option chosen, exactly and leniently (None: unparsable), and whether that is the answer."""

    choice: str | None
    correct: bool
    lenient_choice: str | None
    lenient_correct: bool


def grade_options(reply: str | None, item: Item) -> Grade:
    """Grade a reply to a question whose answer is one of `item.options`. No reply (None) is wrong and unparsable."""
    if reply is None:
        return Grade(None, False, None, False)
    exact = exact_choice(reply, item.options)
    lenient = exact if exact is not None else lenient_choice(reply, item.options)
    return Grade(exact, exact == item.answer, lenient, lenient == item.answer)
