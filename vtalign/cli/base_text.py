"""What the tiny base model reads during training: views of stories and the texts about them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vtalign_data.synth.questions import CAPTION_PROMPTS, TRAIN_TEMPLATES, Asker
from vtalign_data.synth.world import Event, at_other_speed, caption, random_story, reversed_in_time, told_story

CLIP_COUNTS, CLIP_WEIGHTS, ORDER_CLIP_WEIGHTS = (1, 2, 3, 4), (30, 20, 22, 28), (15, 25, 28, 32)


@dataclass(frozen=True)
class BaseExample:
    """A story, the slots shown of it as (clip, frame in the clip), and (prompt, answer) texts about them."""

    story: tuple[Event, ...]
    slots: tuple[tuple[int, int], ...]
    texts: tuple[tuple[str, str], ...]


def example_for(
    rng: random.Random, *, clips: int | None = None, captions: int = 2, orders: int = 1, things: int = 0
) -> BaseExample:
    """Draw a story and write about it. One clip is also shown backwards, fast and slow, and told as what it then shows.

    `captions`, `orders` and `things`: how many captions and questions of these kinds a story of several clips gets.
    """
    clips = clips or rng.choices(CLIP_COUNTS, CLIP_WEIGHTS)[0]
    story = random_story(rng, clips)
    offset = rng.randrange(4) if rng.random() < 0.3 else 0
    frames = [offset, offset + 4, offset + 8, offset + 12]
    seen = list(story)
    if clips == 1:
        style = rng.choices(("plain", "fast", "slow", "backwards"), (62, 13, 13, 12))[0]
        frames, seen = _played(style, frames, story[0])
    slots = tuple((clip, frame) for clip in range(clips) for frame in frames)
    asker = Asker(TRAIN_TEMPLATES, rng)
    texts = []
    for _ in range(captions if clips > 1 else 1):
        texts.append((rng.choice(CAPTION_PROMPTS), caption(told_story(seen, rng))))
    for _ in range(2 if clips == 1 else 3):
        question = asker.static(seen)
        texts.append((question.text, question.answer))
    for _ in range(things if clips > 1 else 0):
        question = asker.thing(told_story(seen, rng))
        texts.append((question.text, question.answer))
    for ask in ("temporal", "temporal", "match") if clips == 1 else ("order",) * orders + ("temporal", "match"):
        told = told_story(seen, rng)
        question = asker.order(told) if ask == "order" else getattr(asker, ask)(rng.choice(told))
        texts.append((question.text, question.answer))
    return BaseExample(tuple(story), slots, tuple(texts))


def sentences(rng: random.Random, *, stories: int = 1500) -> Iterator[str]:
    """Text for the tokenizer."""
    for _ in range(stories):
        for prompt, answer in example_for(rng).texts:
            yield prompt
            yield answer


def _played(style: str, frames: list[int], event: Event) -> tuple[list[int], list[Event]]:
    """The frames shown of one clip, and the event as it then looks."""
    if style == "backwards":
        return frames[::-1], [reversed_in_time(event)]
    if style == "fast":
        # Two frames a second apart: every periodic action looks the same in both.
        if event.kind == "action":
            event = replace(event, how="stays still")
        return frames[::2], [at_other_speed(event) if event.speed == "slowly" else event]
    if style == "slow":
        shown = [frame + step for frame in frames for step in (0, 2)]
        return shown, [at_other_speed(event) if event.speed == "quickly" else event]
    return frames, [event]
