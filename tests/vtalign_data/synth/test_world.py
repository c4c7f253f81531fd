"""Laws of the synthetic world: playing backwards, names without ambiguity, and how unreliable the unreliable teller is."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vtalign_data.synth.questions import HELDOUT_TEMPLATES, TRAIN_TEMPLATES, VALIDATION_TEMPLATES, Asker
from vtalign_data.synth.render import render_event
from vtalign_data.synth.world import (
    ACTIONS,
    COLOURS,
    SHAPES,
    Event,
    at_other_speed,
    caption,
    join_clauses,
    random_event,
    random_story,
    reversed_in_time,
    told_story,
)

seeds = st.integers(0, 2**32)


@given(seeds)
def test_backwards_twice_is_forwards(seed: int) -> None:
    event = random_event(random.Random(seed), shape="ring", colour="blue")
    assert reversed_in_time(reversed_in_time(event)) == event


@given(seeds, st.integers(1, 4))
def test_things_of_a_story_have_names_of_their_own(seed: int, clips: int) -> None:
    story = random_story(random.Random(seed), clips)
    colours = [c for e in story for c in ((e.colour, e.how) if e.kind == "turn" else (e.colour,))]
    assert len(story) == clips
    assert len({e.shape for e in story}) == clips and len(set(colours)) == len(colours)


@given(seeds)
def test_a_clip_played_backwards_is_drawn_as_the_reversed_event(seed: int) -> None:
    """Up to one frame of phase: frame k of one is frame 15 - k of the other, 1/16 of the path apart."""
    event = random_event(random.Random(seed), shape="square", colour="white", kind=random.Random(seed).choice(("move", "size")))
    there, back = render_event(event).astype(int), render_event(reversed_in_time(event)).astype(int)
    assert np.abs(there[::-1] - back).mean() < 0.5 * np.abs(there - back).mean()


@given(seeds)
def test_one_clip_is_told_as_it_is(seed: int) -> None:
    rng = random.Random(seed)
    story = random_story(rng, 1)
    assert told_story(story, rng) == story


def test_several_clips_are_told_in_any_order_with_temporal_words_by_chance() -> None:
    rng = random.Random(0)
    story = [
        Event("circle", "red", "move", "left", "slowly"),
        Event("square", "blue", "size", "grows"),
        Event("ring", "green", "action", "blinks"),
    ]
    told = [told_story(story, rng) for _ in range(2000)]
    place = [[event.shape for event in one].index("circle") for one in told]
    assert all(abs(place.count(k) / 2000 - 1 / 3) < 0.04 for k in range(3))
    words = [{event.shape: event for event in one} for one in told]
    assert abs(sum(w["circle"].how == "left" for w in words) / 2000 - 0.5) < 0.04
    assert abs(sum(w["circle"].speed == "slowly" for w in words) / 2000 - 0.5) < 0.04
    assert abs(sum(w["square"].how == "grows" for w in words) / 2000 - 0.5) < 0.04
    assert abs(sum(w["ring"].how == "blinks" for w in words) / 2000 - 1 / len(ACTIONS)) < 0.04
    assert all({event.thing for event in one} == {"red circle", "blue square", "green ring"} for one in told)


def test_captions_read_as_sentences() -> None:
    story = [
        Event("circle", "red", "move", "left", "slowly"),
        Event("ring", "blue", "turn", "white"),
        Event("cross", "green", "size", "grows"),
    ]
    assert caption(story[:1]) == "a red circle moves left slowly ."
    assert caption(story) == "first a red circle moves left slowly , then a blue ring turns white , finally a green cross grows ."
    assert join_clauses(["a", "b"]) == "first a , finally b ."
    assert at_other_speed(story[0]).clause == "a red circle moves left quickly"


def test_splits_have_templates_of_their_own_made_of_words_that_training_sees() -> None:
    splits = (TRAIN_TEMPLATES, VALIDATION_TEMPLATES, HELDOUT_TEMPLATES)
    known = {word for texts in TRAIN_TEMPLATES.values() for text in texts for word in text.split()}
    for kind in TRAIN_TEMPLATES:
        texts = [text for split in splits for text in split[kind]]
        assert len(texts) == len(set(texts)) > 20
        assert {word for text in texts for word in text.split()} <= known


@given(seeds, st.integers(2, 4))
def test_static_answers_need_no_time(seed: int, clips: int) -> None:
    """The same question about the clips in any order, each played backwards, has the same answer."""
    rng = random.Random(seed)
    story = random_story(rng, clips)
    question = Asker(TRAIN_TEMPLATES, rng).static(story)
    things = {e.shape: e.colour for e in story if e.kind != "turn"}
    if question.template.startswith("colour"):
        assert question.answer in things.values()
    elif question.template.startswith("shape"):
        assert question.answer in {e.shape for e in story}
    else:
        named = next(shape for shape in SHAPES if f" {shape} " in f" {question.text} ")
        assert (question.answer == "yes") == (named in {e.shape for e in story})
    assert set(things.values()) <= set(COLOURS)
