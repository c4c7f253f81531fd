"""How a judge's one-word verdict is read: strictly; anything else is none."""

import re

_THOUGHTS = re.compile(r"^.*</think>", re.DOTALL)
_WORD = re.compile(r"(?:verdict|answer)?[\s:*_`\"']*(correct|incorrect)[\s*_`\"']*(?:[.,:;!]|$)", re.IGNORECASE)


def read_verdict(said: str) -> bool | None:
    """Correct or Incorrect, as the first or the last word that stands alone; None for anything else, and where the two differ."""
    text = _THOUGHTS.sub("", said)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    first, last = _WORD.match(lines[0]), _WORD.fullmatch(lines[-1])
    found = {match[1].casefold() for match in (first, last) if match}
    if len(found) != 1:
        return None
    if found == {"incorrect"}:
        return False
    return None if re.search(r"\bincorrect\b", text, re.IGNORECASE) else True
