"""The truth in the form of a wrong answer, so that the two differ in what they say and not in how they say it."""

import re

from vtalign.choices import normalise
from vtalign_data.annotated.annotation import Annotation, letter
from vtalign_data.annotated.correctness import chosen_option


def truth_in_form_of(reply: str, annotation: Annotation) -> str:
    """`B` -> `A`, `(B)` -> `(A)`, `B. left` -> `A. right`, `left.` -> `right.`, `No.` -> `Yes.`

    An answer that says more than which option it takes (a reason, say) would not be true with another option put in: the truth is
    then given by letter and words, or as the one word. Captions stay as they are.
    """
    if annotation.form == "options":
        return _option_like(reply, annotation)
    if annotation.form == "yes_no":
        found = re.fullmatch(r"(\W*)(yes|no)(\W*)", reply, re.IGNORECASE)
        word = normalise(annotation.truth)
        return f"{found[1]}{_cased(word, found[2])}{found[3]}" if found else f"{word.title()}."
    if annotation.form == "open":
        stop = "." if reply.rstrip().endswith(".") and annotation.truth[-1].isalnum() else ""
        return _capitalised(annotation.truth, reply) + stop
    return annotation.truth


def _option_like(reply: str, annotation: Annotation) -> str:
    right, index = annotation.truth, annotation.options.index(annotation.truth)
    taken = chosen_option(reply, annotation)
    if taken is not None:
        wrong_letter = letter(annotation.options.index(taken))
        swap = {"letter": (wrong_letter, letter(index)), "words": (taken, right)}
        for parts in (("letter",), ("words",), ("letter", "words")):
            pattern = r"(\W*)" + r"(\W+)".join(f"({re.escape(swap[part][0])})" for part in parts) + r"(\W*)"
            if found := re.fullmatch(pattern, reply, re.IGNORECASE | re.DOTALL):
                pieces = list(found.groups())
                for at, part in enumerate(parts):
                    old = pieces[2 * at + 1]
                    new = swap[part][1]
                    pieces[2 * at + 1] = _cased(new, old) if part == "letter" else _capitalised(new, old)
                return "".join(pieces)
    return f"{letter(index)}. {right}"


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > len(like[:1]):
        return word.upper()
    return word.capitalize() if like[:1].isupper() else word.lower()


def _capitalised(text: str, like: str) -> str:
    """`text` with a capital where `like` begins with one."""
    return text[:1].upper() + text[1:] if like.lstrip()[:1].isupper() else text
