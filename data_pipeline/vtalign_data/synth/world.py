"""The world of the synthetic corpus: what an event is, what it looks like played another way, how an unreliable teller tells it."""

import random
from dataclasses import dataclass, replace

SHAPES = ("circle", "square", "triangle", "cross", "ring")
COLOURS = {
    "red": (225, 45, 40),
    "green": (50, 190, 70),
    "blue": (60, 100, 240),
    "yellow": (235, 215, 50),
    "purple": (175, 70, 205),
    "white": (245, 245, 245),
}
OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}
SPEEDS = ("slowly", "quickly")
ACTIONS = ("blinks", "shakes", "jumps", "stays still")
SIZES = ("grows", "shrinks")
KINDS = ("move", "size", "turn", "action")
# The TempCompass aspect that tells two events of a kind apart (a move also has a speed).
ASPECT_OF_KIND = {"move": "direction", "size": "attribute_change", "turn": "attribute_change", "action": "action"}

CLIP_SECONDS = 2.0
FPS = 8


@dataclass(frozen=True)
class Event:
    """One clip: one object that does one thing. `how` is a direction, a size change, an action, or (turn) the colour it ends in.

    `place` is the centre of its path and `room` its size, both as fractions of the frame; `shade` is the background's grey level.
    """

    shape: str
    colour: str
    kind: str
    how: str
    speed: str = ""
    place: tuple[float, float] = (0.5, 0.5)
    room: float = 0.16
    shade: int = 40

    @property
    def thing(self) -> str:
        return f"{self.colour} {self.shape}"

    @property
    def clause(self) -> str:
        """The caption of the clip without a full stop: `a red circle moves left quickly`."""
        if self.kind == "move":
            return f"a {self.thing} moves {self.how} {self.speed}"
        if self.kind == "turn":
            return f"a {self.thing} turns {self.how}"
        return f"a {self.thing} {self.how}"


def random_event(rng: random.Random, *, shape: str, colour: str, kind: str | None = None) -> Event:
    """An event of the given object; every other property is drawn."""
    kind = kind or rng.choice(KINDS)
    how = {
        "move": lambda: rng.choice(tuple(OPPOSITE)),
        "size": lambda: rng.choice(SIZES),
        "turn": lambda: rng.choice([c for c in COLOURS if c != colour]),
        "action": lambda: rng.choice(ACTIONS),
    }[kind]()
    speed = rng.choice(SPEEDS) if kind == "move" else ""
    place = (rng.uniform(0.36, 0.64), rng.uniform(0.36, 0.64))
    return Event(shape, colour, kind, how, speed, place, rng.uniform(0.14, 0.18), rng.randrange(15, 95))


def random_story(rng: random.Random, events: int) -> list[Event]:
    """`events` clips whose objects differ in shape and in every colour that they ever have, so that names are unambiguous."""
    shapes = rng.sample(SHAPES, events)
    colours = list(COLOURS)
    rng.shuffle(colours)
    story: list[Event] = []
    for index, shape in enumerate(shapes):
        event = random_event(rng, shape=shape, colour=colours.pop())
        # A turn takes a second colour; leave one for each object that is still to come.
        if event.kind == "turn":
            if len(colours) > events - index - 1:
                event = replace(event, how=colours.pop())
            else:
                event = random_event(rng, shape=shape, colour=event.colour, kind=rng.choice(("move", "size", "action")))
        if story and abs(event.shade - story[-1].shade) < 20:
            event = replace(event, shade=15 + (event.shade - 15 + 40) % 80)
        story.append(event)
    return story


def reversed_in_time(event: Event) -> Event:
    """What the clip shows when it is played backwards."""
    if event.kind == "move":
        return replace(event, how=OPPOSITE[event.how])
    if event.kind == "size":
        return replace(event, how=_other(SIZES, event.how))
    if event.kind == "turn":
        return replace(event, colour=event.how, how=event.colour)
    return event


def at_other_speed(event: Event) -> Event:
    """The same move at the other speed (only moves have one)."""
    return replace(event, speed=_other(SPEEDS, event.speed))


def with_other_action(event: Event, rng: random.Random) -> Event:
    return replace(event, how=rng.choice([action for action in ACTIONS if action != event.how]))


def altered(event: Event, aspect: str, rng: random.Random) -> Event:
    """The event with one temporal aspect different, all else the same: what a conflicting sibling shows."""
    if aspect == "speed":
        return at_other_speed(event)
    return with_other_action(event, rng) if aspect == "action" else reversed_in_time(event)


def unreliable(event: Event, rng: random.Random) -> Event:
    """The event as told by somebody who saw what was there but not when: every temporal word is a coin flip."""
    if event.kind == "action":
        return replace(event, how=rng.choice(ACTIONS))
    told = reversed_in_time(event) if rng.random() < 0.5 else event
    return replace(told, speed=rng.choice(SPEEDS)) if told.kind == "move" else told


def told_story(story: list[Event], rng: random.Random) -> list[Event]:
    """How the training text tells a story. One clip is told as it is; of several, the order and all temporal words are unreliable.

    This is TEMPLE's diagnosis of real video LLMs (arXiv 2503.16929) put into data: short clips are described well, and what they
    read about longer videos does not teach them order.
    """
    if len(story) == 1:
        return list(story)
    told = [unreliable(event, rng) for event in story]
    rng.shuffle(told)
    return told


def caption(story: list[Event]) -> str:
    """`first a .. , then a .. , finally a .. .`; one clip is one plain sentence."""
    return join_clauses([event.clause for event in story])


def join_clauses(clauses: list[str]) -> str:
    if len(clauses) == 1:
        return f"{clauses[0]} ."
    middle = "".join(f" , then {clause}" for clause in clauses[1:-1])
    return f"first {clauses[0]}{middle} , finally {clauses[-1]} ."


def _other(pair: tuple[str, ...], value: str) -> str:
    return next(item for item in pair if item != value)
