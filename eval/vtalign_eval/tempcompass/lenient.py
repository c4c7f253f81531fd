"""A second, labelled reading of chatty replies. It never guesses: two options mentioned, or a denial, is unparsable.

Not TempCompass's: its rules are in `vtalign_eval.tempcompass.rules`, and the two readings are reported side by side.
"""

import re

from vtalign.choices import lettered_spellings, mentioned_option, read_yes_no
from vtalign_eval.items import Item
from vtalign_eval.tempcompass.questions import CAPTION_MATCHING, MULTI_CHOICE, YES_NO
from vtalign_eval.tempcompass.rules import clean, match

_NOUNS = ("Caption", "Option", "Sentence")


def read_leniently(reply: str | None, item: Item) -> str | None:
    """The only option that the reply mentions by its mark or its words, or that a published rule finds; None: unparsable."""
    if reply is None:
        return None
    text = clean(reply)
    if item.task == YES_NO:
        # the published rule is a prefix test and finds a no in "None" and "Not sure"
        return read_yes_no(text)
    found = mentioned_option(text, {option: _spellings(option, item.task) for option in item.options})
    if found is None:
        found = _bare_mark(text, item)
    strict = match(reply, item) if found is None else None
    return strict.choice if strict is not None and strict.choice in item.options else found


def _spellings(option: str, task: str) -> tuple[str, ...]:
    """The ways to mention an option. A bare digit is none: it may count something."""
    if task == MULTI_CHOICE:
        return lettered_spellings(option)
    assert task == CAPTION_MATCHING
    head, _, caption = option.partition(": ")
    mark = head.rpartition(" ")[2]
    spellings = (option, caption, *(f"{noun} {mark}" for noun in _NOUNS))
    return spellings if mark.isdigit() else (*spellings, mark)


def _bare_mark(text: str, item: Item) -> str | None:
    """`(2)` or `**2**`: a digit that is all there is."""
    plain = re.sub(r"[^\w]", "", text)
    found = [option for option in item.options if plain.isdigit() and option.partition(": ")[0].endswith(f" {plain}")]
    return found[0] if len(found) == 1 else None
