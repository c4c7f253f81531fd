"""How a judge's one-word verdict is read: strictly; anything else is none."""

import re

_THOUGHTS = re.compile(r"^.*</think>", re.DOTALL)
_WORD = re.compile(r"\W*(?:(?:verdict|answer)\W+)?(correct|incorrect)\W*", re.IGNORECASE)
_WITHDRAWN = re.compile(r"\b(?:incorrect|wrong|not|isn['’]t)\b")


def without_thoughts(said: str) -> str:
    """What a judge says when it has done with thinking aloud."""
    return _THOUGHTS.sub("", said)


def read_verdict(said: str) -> bool | None:
    """Correct or Incorrect where that word is a whole line, the first or the last one, and no line is the other; else None.

    A judge that explains itself beside the word ("Correct, but ..", "Correct: no") or says "not correct", "wrong" or "incorrect"
    elsewhere while calling the reply correct has given no verdict.
    """
    text = without_thoughts(said)
    lines = [line for line in text.splitlines() if re.search(r"\w", line)]
    found = {match[1].casefold() for line in lines[:1] + lines[-1:] if (match := _WORD.fullmatch(line))}
    if len(found) != 1:
        return None
    if found == {"incorrect"}:
        return False
    return None if _WITHDRAWN.search(text.casefold()) else True
