"""Questions about order put together from clip descriptions, whose meaning nobody parses.

A question is right where its answer follows from the descriptions of the clean sequence and another answer follows from those of
the perturbed one. Descriptions that occur twice in a sequence name no single clip and are left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vtalign.ids import seed_from
from vtalign_data.config import QuestionConfig, QuestionKind


@dataclass(frozen=True)
class ToldClip:
    """One clip of a sequence: what the model says of it, the request that said so, and the clean clip it comes from."""

    text: str
    request_id: str
    source: int


@dataclass(frozen=True)
class Asked:
    """A question: `right` is true of the clean sequence, `wrong` of the perturbed one; `anchor`: the clip that `after` names."""

    kind: QuestionKind
    right: ToldClip
    wrong: ToldClip
    anchor: ToldClip | None = None

    @property
    def content(self) -> tuple[str, str, str, str]:
        """What is asked, whatever the wording."""
        return self.kind, self.right.text, self.wrong.text, self.anchor.text if self.anchor else ""


def order_questions(clean: Sequence[ToldClip], perturbed: Sequence[ToldClip]) -> list[Asked]:
    """Of two clips that both sequences tell once: which is first? Where the sequences disagree."""
    once, place = _places(clean), _places(perturbed)
    told = [clip for clip in clean if clip.text in once and clip.text in place]
    return [
        Asked("order", first, second)
        for index, first in enumerate(told)
        for second in told[index + 1 :]
        if place[first.text] > place[second.text]
    ]


def after_questions(clean: Sequence[ToldClip], perturbed: Sequence[ToldClip]) -> list[Asked]:
    """What comes right after a clip that both sequences tell once? Where the sequences disagree."""
    here, there = _places(clean), _places(perturbed)
    asked: list[tuple[int, Asked]] = []
    for text in here.keys() & there.keys():
        if here[text] + 1 < len(clean) and there[text] + 1 < len(perturbed):
            right, wrong = clean[here[text] + 1], perturbed[there[text] + 1]
            if right.text != wrong.text:
                asked.append((here[text], Asked("after", right, wrong, anchor=clean[here[text]])))
    return [question for _, question in sorted(asked, key=lambda pair: pair[0])]


def match_questions(clean: Sequence[ToldClip], perturbed: Sequence[ToldClip]) -> list[Asked]:
    """A clip that is told differently once perturbed (played backwards, faster): which telling is right?

    Neither telling may occur in the other sequence, where it would be right as well.
    """
    here, there = {clip.text for clip in clean}, {clip.text for clip in perturbed}
    return [
        Asked("match", clean[clip.source], clip)
        for clip in perturbed
        if clip.text not in here and clean[clip.source].text not in there
    ]


_MAKERS: dict[QuestionKind, Callable[[Sequence[ToldClip], Sequence[ToldClip]], list[Asked]]] = {
    "order": order_questions,
    "after": after_questions,
    "match": match_questions,
}


class QuestionWriter:
    """Picks and words the questions of one view: no content twice, options in balanced positions, all drawn from the seed."""

    def __init__(self, config: QuestionConfig, view_id: str, seed: int) -> None:
        self._config = config
        self._content = (view_id, seed)
        self._asked: set[tuple[str, str, str, str]] = set()
        # Right option first in every other question of a kind; which half is drawn by view.
        self._turn = {kind: seed_from("options", kind, *self._content) % 2 for kind in config.kinds}

    def ask(self, clean: Sequence[ToldClip], perturbed: Sequence[ToldClip]) -> list[tuple[str, Asked]]:
        """(prompt, question) for one perturbed sequence: at most `per_perturbation` of each kind."""
        asked: list[tuple[str, Asked]] = []
        for kind in self._config.kinds:
            found = [question for question in _MAKERS[kind](clean, perturbed) if question.content not in self._asked]
            found.sort(key=lambda question: seed_from("question", *self._content, *question.content))
            distinct = {question.content: question for question in reversed(found)}
            chosen = sorted(distinct.values(), key=found.index)[: self._config.per_perturbation]
            self._asked.update(question.content for question in chosen)
            asked.extend((self._word(question), question) for question in chosen)
        return asked

    def _word(self, question: Asked) -> str:
        templates: tuple[str, ...] = getattr(self._config, question.kind)
        template = templates[seed_from("template", *self._content, *question.content) % len(templates)]
        if question.anchor is not None:
            return template.format(a=question.anchor.text)
        options = [question.right.text, question.wrong.text]
        if self._turn[question.kind]:
            options.reverse()
        self._turn[question.kind] ^= 1
        return template.format(a=options[0], b=options[1])


def _places(sequence: Sequence[ToldClip]) -> dict[str, int]:
    """Place of every text that is told exactly once."""
    texts = [clip.text for clip in sequence]
    return {text: place for place, text in enumerate(texts) if texts.count(text) == 1}
