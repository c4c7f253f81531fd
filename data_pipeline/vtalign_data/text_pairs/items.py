"""`TextItem`: a worded question with its right and its wrong answer; the items of one list of captions."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from vtalign.ids import seed_from
from vtalign_data.text_pairs.config import TextConfig, TextKind, TextWording
from vtalign_data.text_pairs.makers import MAKERS, Asked
from vtalign_data.text_pairs.story import Story, story_of


@dataclass(frozen=True)
class TextItem:
    """`prompt` lists `captions` and asks; `right` follows from the list, `wrong` would follow from another order of it.

    `options`: the answers that the question names, in their order; none where it is open.
    """

    kind: TextKind
    captions: tuple[str, ...]
    prompt: str
    options: tuple[str, ...]
    right: str
    wrong: str


Twins = tuple[TextItem, TextItem]
"""The same question and the same two answers about two stories: what is right of the one is wrong of the other."""


def text_items(captions: Sequence[str], config: TextConfig, seed: int) -> list[Twins]:
    """At most `per_kind` questions of each kind, in the order of the kinds; a function of captions, settings and seed alone.

    A kind that a list has no unambiguous question for is left out: captions that occur twice, or one inside the other, are never
    named.
    """
    story = story_of(captions, config.max_captions, seed)
    made: list[Twins] = []
    for kind in config.kinds:
        rng = random.Random(seed_from("text items", story.captions, kind, seed))
        distinct: dict[frozenset[str], Twins] = {}
        for asked in MAKERS[kind](story, rng, config.max_items):
            twins = _worded(asked, config.wording, rng)
            distinct.setdefault(content_of(twins), twins)
            if len(distinct) == config.per_kind:
                break
        made.extend(distinct.values())
    return made


def content_of(twins: Twins) -> frozenset[str]:
    """What two twins ask, whichever of them comes first."""
    return frozenset(f"{item.prompt}\n{item.right}\n{item.wrong}" for item in twins)


def _worded(asked: Asked, wording: TextWording, rng: random.Random) -> Twins:
    """Which of the two stories comes first is drawn: the first is not always the one in the given order."""
    question = getattr(wording, asked.kind).format(**asked.fields)
    given = _item(asked, asked.story, question, wording, (asked.right, asked.wrong))
    other = _item(asked, asked.other, question, wording, (asked.wrong, asked.right))
    return (given, other) if rng.random() < 0.5 else (other, given)


def _item(asked: Asked, story: Story, question: str, wording: TextWording, answers: tuple[str, str]) -> TextItem:
    listed = "\n".join(f"- {caption}." for caption in story.captions)
    prompt = wording.prompt.format(captions=listed, question=question)
    # a caption is answered as the sentence that it is; other answers have their form
    right, wrong = (f"{answer}." if answer in story.captions else answer for answer in answers)
    return TextItem(asked.kind, story.captions, prompt, asked.options, right, wrong)
