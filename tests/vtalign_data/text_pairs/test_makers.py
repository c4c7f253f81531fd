"""Every kind of question, by hand; and, for any captions, that right is right and wrong is wrong, checked from the prompt alone."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign_data.text_pairs.config import KINDS, TextConfig
from vtalign_data.text_pairs.fragments import phrases_of, prefixes_of
from vtalign_data.text_pairs.items import TextItem, text_items
from vtalign_data.text_pairs.makers import HALVES, MAKERS, THIRDS, Asked
from vtalign_data.text_pairs.story import Story, plain, story_of

DOOR, RED, DOG, BLUE, LEAVE, RAIN = (
    "A man opens a door",
    "He sits down on a red chair",
    "A dog runs in",
    "He sits down on a blue chair",
    "They leave the room",
    "Rain starts to fall",
)
FIVE, SIX = Story((DOOR, RED, DOG, BLUE, LEAVE)), Story((DOOR, RED, DOG, BLUE, LEAVE, RAIN))


def asked(kind: str, story: Story) -> list[Asked]:
    return list(MAKERS[kind](story, random.Random(0), 5))


def test_order_asks_all_pairs_once() -> None:
    found = asked("order", Story((DOOR, DOG, LEAVE)))
    assert len(found) == 3 and {frozenset(one.options) for one in found} == {
        frozenset(pair) for pair in ((DOOR, DOG), (DOOR, LEAVE), (DOG, LEAVE))
    }
    for one in found:
        first, last = sorted(one.options, key=[DOOR, DOG, LEAVE].index)
        assert (one.right, one.wrong) == ((first, last) if one.fields["which"] == "first" else (last, first))


def test_order_of_three_names_three() -> None:
    (one,) = asked("order_three", Story((DOOR, DOG, LEAVE)))
    assert one.right == {"first": DOOR, "last": LEAVE}[one.fields["which"]] and one.wrong in {DOOR, DOG, LEAVE} - {one.right}
    assert {one.fields[name] for name in "abc"} == {DOOR, DOG, LEAVE}


def test_begin_middle_and_end() -> None:
    assert {one.right for one in asked("begin", FIVE)} == {DOOR} and {one.right for one in asked("end", FIVE)} == {LEAVE}
    assert {one.right for one in asked("middle", FIVE)} == {DOG}
    assert {one.wrong for one in asked("middle", FIVE)} == {DOOR, RED, BLUE, LEAVE}
    assert asked("middle", SIX) == [] and asked("middle", Story((DOOR,))) == [], "no single caption is in the middle"


def test_before_and_after_prefer_the_neighbour_on_the_other_side() -> None:
    after = {one.fields["a"]: (one.right, one.wrong) for one in asked("after", FIVE)}
    assert after[RED] == (DOG, DOOR) and LEAVE not in after
    before = {one.fields["a"]: (one.right, one.wrong) for one in asked("before", FIVE)}
    assert before[DOG] == (RED, BLUE) and DOOR not in before
    assert asked("after", Story((DOOR, DOG))) == [], "there is no wrong answer but the caption itself"


def test_positions_parts_and_halves() -> None:
    right = {one.fields["a"]: one.right for one in asked("position", FIVE)}
    assert right == {DOOR: "Part 1.", RED: "Part 2.", DOG: "Part 3.", BLUE: "Part 4.", LEAVE: "Part 5."}
    parts = {one.fields["a"]: one.right for one in asked("part", SIX)}
    assert parts == {DOOR: THIRDS[0], RED: THIRDS[0], DOG: THIRDS[1], BLUE: THIRDS[1], LEAVE: THIRDS[2], RAIN: THIRDS[2]}
    halves = {one.fields["a"]: one.right for one in asked("half", SIX)}
    assert halves == {DOOR: HALVES[0], RED: HALVES[0], DOG: HALVES[0], BLUE: HALVES[1], LEAVE: HALVES[1], RAIN: HALVES[1]}
    assert asked("part", FIVE) == asked("half", FIVE) == [], "five captions have neither equal thirds nor halves"


def test_an_attribute_is_one_word() -> None:
    (one,) = asked("attribute", FIVE)
    assert one.fields == {"a": "He sits down on a ___ chair"}
    assert (one.right, one.wrong) == ('From "red" to "blue".', 'From "blue" to "red".')
    assert asked("attribute", Story((RED, DOG, BLUE, "He sits down on a green chair"))) == [], "three do not change once"
    assert asked("attribute", Story(("He sits on the chair", "He sits on a chair"))) == [], "an article is no attribute"
    assert asked("attribute", Story(("It is red", "It was red", "It rains"))) == []


def test_orders_are_permutations() -> None:
    for one in asked("order_list", FIVE):
        letters = dict(line.split(". ", 1) for line in one.fields["items"].splitlines())
        told = [letters[name] for name in one.right.split(", ")]
        assert told == sorted(told, key=FIVE.captions.index) and sorted(one.wrong.split(", ")) == sorted(one.right.split(", "))
        assert one.wrong != one.right
    for one in asked("shuffle_sentence", FIVE):
        told = [line.split(". ", 1)[1] for line in one.right.splitlines()]
        assert told == sorted(told, key=FIVE.captions.index)


def test_fragments_belong_to_one_caption() -> None:
    prefixes = {fragment.place: fragment.text for fragment in prefixes_of(FIVE)}
    assert prefixes == {0: "A man", 1: "He sits down on a red", 2: "A dog", 3: "He sits down on a blue", 4: "They leave"}
    for fragment in phrases_of(FIVE, random.Random(0)):
        holders = [place for place, caption in enumerate(FIVE.captions) if plain(fragment.text) in plain(caption)]
        assert holders == [fragment.place] and 2 <= len(fragment.text.split()) < len(FIVE.captions[fragment.place].split())


def test_the_order_shown_tells_nothing() -> None:
    """Over many draws the order in which items are shown is as often the right one as it is the wrong one."""
    shown_right = shown_wrong = 0
    for seed in range(300):
        (first, *_) = MAKERS["shuffle_sentence"](Story((DOOR, DOG, LEAVE)), random.Random(seed), 3)
        shown = [line.removeprefix("- ") for line in first.fields["items"].splitlines()]
        right, wrong = ([line.split(". ", 1)[1] for line in text.splitlines()] for text in (first.right, first.wrong))
        shown_right += shown == right
        shown_wrong += shown == wrong
    assert abs(shown_right - shown_wrong) < 40 and shown_right > 40


def test_of_a_long_list_neighbours_are_taken() -> None:
    captions = [f"Step {number} of it" for number in range(40)]
    story = story_of(captions, 16, 3)
    start = captions.index(story.captions[0])
    assert story.captions == tuple(captions[start : start + 16]) and story == story_of(captions, 16, 3)


WORDS = st.sampled_from(["a", "red", "blue", "man", "dog", "runs", "sits", "door", "chair", "opens", "the", "in"])
CAPTIONS = st.lists(st.lists(WORDS, min_size=1, max_size=4).map(" ".join), min_size=2, max_size=9)


@given(CAPTIONS, st.integers(0, 5))
def test_right_is_right_and_wrong_is_wrong(captions: list[str], seed: int) -> None:
    twins = text_items(captions, TextConfig(per_kind=3), seed)
    assert twins == text_items(captions, TextConfig(per_kind=3), seed)
    for one, other in twins:
        assert sorted(one.captions) == sorted(other.captions) and one.captions != other.captions
        assert (one.right, one.wrong, one.options) == (other.wrong, other.right, other.options), "nothing but the list tells"
        assert one.prompt.rpartition("\n\n")[2] == other.prompt.rpartition("\n\n")[2]
        for item in (one, other):
            assert follows(item, item.right) and not follows(item, item.wrong), item


def follows(item: TextItem, answer: str) -> bool:
    """Whether an answer follows from the list in the prompt, worked out from the words of the prompt alone."""
    head, _, question = item.prompt.partition("\n\n")
    listed = [line.removeprefix("- ").removesuffix(".") for line in head.splitlines()[1:]]
    assert listed == list(item.captions)
    said = answer.removesuffix(".")

    def place(text: str) -> int:
        (found,) = [at for at, caption in enumerate(listed) if text.casefold() in caption.casefold()]
        return found

    kind, subject = item.kind, question.partition(": ")[2].removesuffix("?")
    if kind in ("order", "order_three"):
        places = sorted(map(place, item.options))
        return place(said) == places[0 if " first:" in question else -1]
    if kind == "order_list":
        letters = dict(line.split(". ", 1) for line in question.splitlines()[1:])
        places = [place(letters[name]) for name in said.split(", ")]
        return places == sorted(places) and len(places) == len(letters)
    if kind.startswith("shuffle"):
        places = [place(line.split(". ", 1)[1]) for line in answer.splitlines()]
        return places == sorted(places) and len(places) == len(item.options)
    if kind == "attribute":
        frame = re.search('"(.*)"', question)
        words = re.fullmatch('From "(.*)" to "(.*)"', said)
        assert frame and words
        first, then = (place(frame[1].replace("___", word)) for word in words.groups())
        return first < then
    if kind in ("begin", "middle", "end"):
        return place(said) == {"begin": 0, "middle": len(listed) // 2, "end": len(listed) - 1}[kind]
    if kind in ("before", "after"):
        return place(said) == place(subject) + (1 if kind == "after" else -1)
    if kind == "position":
        return said == f"Part {place(subject) + 1}"
    share = place(subject) / len(listed)
    if kind == "part":
        return said == ("In the beginning" if share < 1 / 3 - 1e-9 else "In the middle" if share < 2 / 3 - 1e-9 else "In the end")
    assert kind == "half"
    return said == ("In the first half" if share < 0.5 else "In the second half")


def test_every_kind_comes_up() -> None:
    kinds = {one.kind for story in (FIVE, SIX) for one, _ in text_items(story.captions, TextConfig(), 0)}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("captions", [["x", "x"], ["A dog runs", "a dog  runs."], ["a dog", "a dog runs"]])
def test_captions_that_cannot_be_told_apart_give_no_question(captions: list[str]) -> None:
    assert text_items(captions, TextConfig(), 0) == []
