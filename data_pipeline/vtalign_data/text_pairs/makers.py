"""One maker for each kind of question: what can be asked of a story, in an order drawn by `rng`.

A question comes with two stories of the same captions: the given one, of which `right` is true, and another one, with the captions
in question in other places, of which `wrong` is true. Asked of both, every answer is right once and wrong once, so neither length
nor position nor the words of a question tell which it is: only the list does. (T3's own synthesiser is not public; its kinds of
questions are, see its data mixture and probes. The words and rules here are ours.)
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeVar

from vtalign_data.text_pairs.config import TextKind
from vtalign_data.text_pairs.fragments import Fragment, phrases_of, prefixes_of, whole_captions
from vtalign_data.text_pairs.story import Story, plain

T = TypeVar("T")

_DRAWS = 4  # of questions that put several captions in order, of which there are too many to list


@dataclass(frozen=True)
class Asked:
    """A question before it is worded. `fields` fill its template; `options`: the answers that it names, in that order."""

    kind: TextKind
    story: Story
    other: Story
    right: str
    wrong: str
    fields: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()


Maker = Callable[[Story, random.Random, int], Iterator[Asked]]
"""(story, rng, most captions that are put in order at once) -> questions."""


def _drawn(found: Sequence[T], rng: random.Random) -> list[T]:
    return rng.sample(found, len(found))


def _order(story: Story, rng: random.Random, _: int) -> Iterator[Asked]:
    for one, other in _drawn(list(combinations(story.nameable, 2)), rng):
        yield _which(story, rng, "order", (one, other))


def _order_three(story: Story, rng: random.Random, _: int) -> Iterator[Asked]:
    for places in _drawn(list(combinations(story.nameable, 3)), rng):
        yield _which(story, rng, "order_three", places)


def _which(story: Story, rng: random.Random, kind: TextKind, places: tuple[int, ...]) -> Asked:
    """Which of the captions at `places` (rising) comes first, or last? What takes its place in the other story is wrong here."""
    which = rng.choice(("first", "last"))
    right = places[0] if which == "first" else places[-1]
    wrong = rng.choice([place for place in places if place != right])
    options = [story.captions[place] for place in _drawn(places, rng)]
    fields = dict(zip("abc", options, strict=False))
    return Asked(
        kind,
        story,
        story.swapped(right, wrong),
        story.captions[right],
        story.captions[wrong],
        {"which": which, **fields},
        tuple(options),
    )


def _arranged(
    story: Story, rng: random.Random, kind: TextKind, fragments: Sequence[Fragment], most: int, by_letter: bool
) -> Iterator[Asked]:
    """Put what stands for several captions into their order; the other story has them in the order that is wrong here.

    The order in which they are shown and the wrong one are both drawn from all orders, so that neither "as shown" nor "not as
    shown" says which answer is right.
    """
    for _ in range(_DRAWS if len(fragments) > 1 else 0):
        picked = sorted(rng.sample(range(len(fragments)), rng.randint(2, min(most, len(fragments)))))
        chosen = [fragments[index] for index in picked]
        names = [fragment.text for fragment in chosen]
        shown = rng.sample(range(len(chosen)), len(chosen))
        right = list(range(len(chosen)))
        wrong = rng.sample(right, len(right))
        while wrong == right:
            rng.shuffle(wrong)
        letters = {index: chr(ord("A") + at) for at, index in enumerate(shown)}
        items = "\n".join(f"{letters[index]}. {names[index]}" if by_letter else f"- {names[index]}" for index in shown)

        def told(
            order: Sequence[int],
            letters: dict[int, str] = letters,
            names: list[str] = names,
        ) -> str:
            if by_letter:
                return ", ".join(letters[index] for index in order)
            return "\n".join(f"{at}. {names[index]}" for at, index in enumerate(order, 1))

        moves = {chosen[at].place: chosen[index].place for at, index in enumerate(wrong)}
        yield Asked(
            kind, story, story.rearranged(moves), told(right), told(wrong), {"items": items}, tuple(names[i] for i in shown)
        )


def _order_list(story: Story, rng: random.Random, most: int) -> Iterator[Asked]:
    yield from _arranged(story, rng, "order_list", whole_captions(story), most, by_letter=True)


def _shuffle_sentence(story: Story, rng: random.Random, most: int) -> Iterator[Asked]:
    yield from _arranged(story, rng, "shuffle_sentence", whole_captions(story), most, by_letter=False)


def _shuffle_phrase(story: Story, rng: random.Random, most: int) -> Iterator[Asked]:
    yield from _arranged(story, rng, "shuffle_phrase", phrases_of(story, rng), most, by_letter=False)


def _shuffle_prefix(story: Story, rng: random.Random, most: int) -> Iterator[Asked]:
    yield from _arranged(story, rng, "shuffle_prefix", prefixes_of(story), most, by_letter=False)


def _attribute(story: Story, rng: random.Random, _: int) -> Iterator[Asked]:
    """Two captions that differ in one word, and no third one that differs from them there: how does it change?"""
    words = [plain(caption).split() for caption in story.captions]
    for one, other in _drawn(list(combinations(story.nameable, 2)), rng):
        place = _changed_word(words[one], words[other])
        if place is None:
            continue
        alike = [w for w in words if len(w) == len(words[one]) and _same_but(w, words[one], place)]
        if len(alike) != 2:
            continue
        frame = story.captions[one].split()
        before, after = frame[place].strip(",;:"), story.captions[other].split()[place].strip(",;:")
        frame[place] = "___"
        yield Asked(
            "attribute",
            story,
            story.swapped(one, other),
            f'From "{before}" to "{after}".',
            f'From "{after}" to "{before}".',
            {"a": " ".join(frame)},
        )


# Words that carry no attribute: captions that differ in one of these say the same, or something else altogether.
# fmt: off
_FUNCTION_WORDS = frozenset((
    "a", "an", "the", "this", "that", "these", "those", "and", "or", "but", "is", "are", "was",
    "were", "be", "been", "to", "of", "in", "on", "at", "by", "for", "from", "with", "as", "it",
    "its", "his", "her", "their", "he", "she", "they", "we", "you", "i", "not", "no", "then",
    "there", "here",
))
# fmt: on


def _changed_word(one: Sequence[str], other: Sequence[str]) -> int | None:
    """The place of the only word in which two captions differ, where it can be an attribute and at least two words are alike."""
    if len(one) != len(other) or len(one) < 3:
        return None
    places = [place for place, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]
    if len(places) != 1:
        return None
    changed = [words[places[0]].strip(",;:") for words in (one, other)]
    if changed[0] == changed[1] or not all(word.isalnum() and word not in _FUNCTION_WORDS for word in changed):
        return None
    return places[0]


def _same_but(words: Sequence[str], other: Sequence[str], place: int) -> bool:
    return [*words[:place], *words[place + 1 :]] == [*other[:place], *other[place + 1 :]]


def _at(kind: TextKind, find: Callable[[int], int | None]) -> Maker:
    """What is at a certain place of the story? The wrong answer is at another one."""

    def make(story: Story, rng: random.Random, _: int) -> Iterator[Asked]:
        place = find(len(story))
        if place is None or place not in story.nameable:
            return
        for wrong in _drawn([other for other in story.nameable if other != place], rng):
            yield Asked(kind, story, story.swapped(place, wrong), story.captions[place], story.captions[wrong])

    return make


def _beside(kind: TextKind, step: int) -> Maker:
    """What is right before or right after a caption? The wrong answer is elsewhere."""

    def make(story: Story, rng: random.Random, _: int) -> Iterator[Asked]:
        for anchor in _drawn(story.nameable, rng):
            right = anchor + step
            if right not in story.nameable:
                continue
            others = [place for place in story.nameable if place not in (anchor, right)]
            if others:
                # the caption on the other side is the hardest wrong answer
                wrong = anchor - step if anchor - step in others else rng.choice(others)
                sides = story.captions[right], story.captions[wrong]
                yield Asked(kind, story, story.swapped(right, wrong), *sides, {"a": story.captions[anchor]})

    return make


def _where(kind: TextKind, name: Callable[[int, int], str | None], options: tuple[str, ...] = ()) -> Maker:
    """Where is a caption? `name(place, captions)` says it; None where the list has no such places."""

    def make(story: Story, rng: random.Random, _: int) -> Iterator[Asked]:
        for place in _drawn(story.nameable, rng):
            right = name(place, len(story))
            others = [other for other in story.nameable if name(other, len(story)) != right]
            if right is None or not others:
                continue
            other = rng.choice(others)
            wrong = name(other, len(story))
            assert wrong is not None
            yield Asked(kind, story, story.swapped(place, other), right, wrong, {"a": story.captions[place]}, options)

    return make


def _middle(count: int) -> int | None:
    return count // 2 if count % 2 and count > 2 else None


def _number(place: int, _: int) -> str:
    return f"Part {place + 1}."


def _third(place: int, count: int) -> str | None:
    """Only where the list has equal thirds: else nobody could say where the middle begins."""
    return THIRDS[3 * place // count] if count % 3 == 0 else None


def _half(place: int, count: int) -> str | None:
    return HALVES[2 * place // count] if count % 2 == 0 else None


THIRDS = ("In the beginning.", "In the middle.", "In the end.")
HALVES = ("In the first half.", "In the second half.")

MAKERS: dict[TextKind, Maker] = {
    "order": _order,
    "order_three": _order_three,
    "order_list": _order_list,
    "shuffle_sentence": _shuffle_sentence,
    "shuffle_phrase": _shuffle_phrase,
    "shuffle_prefix": _shuffle_prefix,
    "attribute": _attribute,
    "begin": _at("begin", lambda count: 0),
    "middle": _at("middle", _middle),
    "end": _at("end", lambda count: count - 1),
    "before": _beside("before", -1),
    "after": _beside("after", 1),
    "position": _where("position", _number),
    "part": _where("part", _third, THIRDS),
    "half": _where("half", _half, HALVES),
}
