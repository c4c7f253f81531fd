"""`Judge`: who is asked where the rules end. Captions have no rule: only a judge can grade them."""

from collections.abc import Callable
from dataclasses import dataclass

from vtalign_eval.tempcompass.questions import TempCompassItem


@dataclass(frozen=True)
class Verdict:
    """`correct` is None where the judge failed: wrong, and counted. `reply` is what the judge said."""

    correct: bool | None
    reply: str


@dataclass(frozen=True)
class Judge:
    """`decide` sees a question and the reply that no rule matched (for a caption: what `scored_question` asks, and the caption).

    `name` and `prompt_hash` stand beside every figure that the judge had a part in: published ones used different judges.
    """

    name: str
    prompt_hash: str
    decide: Callable[[TempCompassItem, str], Verdict]
