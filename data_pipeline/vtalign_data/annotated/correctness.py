"""Whether an answer is right, by rule. What no rule can tell is undecided, never guessed."""

import re
from collections import Counter
from typing import Literal

from vtalign.choices import exact_choice, lenient_choice, lettered_spellings, mentioned_option, normalise, read_yes_no
from vtalign.preference.words import split_words
from vtalign_data.annotated.annotation import Annotation, letter, listed_options
from vtalign_data.annotated.config import AnnotationConfig

_ARTICLES = ("a", "an", "the")

Verdict = Literal["right", "wrong", "undecided"]


def verdict_by_rule(reply: str, annotation: Annotation, config: AnnotationConfig) -> Verdict:
    """Options and yes/no: by the one that the reply chooses. Open answers and captions: right where the reply says the truth word
    for word. What else they say is for a judge: a paraphrase ("2" of "two") shares no word with the truth. Only where there is no
    judge, and the config has a threshold, few words in common are wrong."""
    if not normalise(reply):
        return "undecided"
    if annotation.form in ("options", "yes_no"):
        chosen = chosen_option(reply, annotation)
        if chosen is None:
            return "undecided"
        truth = annotation.truth if annotation.form == "options" else normalise(annotation.truth)
        return "right" if chosen == truth else "wrong"
    if normalise(reply) == normalise(annotation.truth) or lenient_choice(reply, [annotation.truth]) is not None:
        return "right"
    most = config.max_overlap_caption if annotation.form == "caption" else config.max_overlap_answer
    if most is None or config.judge is not None:
        return "undecided"
    return "wrong" if token_f1(reply, annotation.truth) <= most else "undecided"


def chosen_option(reply: str, annotation: Annotation) -> str | None:
    """The only option that the reply names by its letter or its words (`yes` or `no` where there are none); None where it is not
    clear."""
    if annotation.form == "yes_no":
        return read_yes_no(reply)
    options = annotation.options
    by_letter = {letter(index): option for index, option in enumerate(options)}
    lettered = by_letter.get(re.sub(r"[^\w]", "", reply).upper())
    exact = exact_choice(reply, options)
    if exact is not None and lettered is not None and exact != lettered:
        return None  # options that are letters themselves
    if exact is not None or lettered is not None:
        return exact or lettered
    spellings = {option: lettered_spellings(line) for option, line in zip(options, listed_options(options), strict=True)}
    by_word = {normalise(option): option for option in options}
    if by_word.keys() == {"yes", "no"}:
        if (said := read_yes_no(reply)) is not None:
            return by_word[said]
        spellings = {option: (way, whole) for option, (way, _, whole) in spellings.items()}  # "No idea" mentions no option
    return mentioned_option(reply, spellings)


def token_f1(text: str, truth: str) -> float:
    """Harmonic mean of precision and recall of words, each counted as often as it occurs; punctuation and articles aside (as SQuAD's
    F1)."""
    said, true = (Counter(_words(one)) for one in (text, truth))
    shared = (said & true).total()
    return 2 * shared / (said.total() + true.total()) if shared else 0.0


def _words(text: str) -> list[str]:
    return [word.key for word in split_words(text) if not word.is_punctuation and word.key not in _ARTICLES]
