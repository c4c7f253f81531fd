"""Questions about stories: templates that training sees, templates kept for validation and held-out splits, and their options."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from vtalign_data.synth.world import ASPECT_OF_KIND, COLOURS, SHAPES, Event, at_other_speed, reversed_in_time, with_other_action

CAPTION_PROMPTS = ("describe the video .", "what happens in the video ?", "tell me what happens .")

# Every word of a held-out template occurs in some training template; the sentences do not.
TRAIN_TEMPLATES: dict[str, tuple[str, ...]] = {
    "first": (
        "what comes first , {a} or {b} ?",
        "which one is seen first , {a} or {b} ?",
        "{a} or {b} : what appears first ?",
        "of {a} and {b} , which one appears earlier ?",
        "tell me which comes earlier : {a} or {b} ?",
    ),
    "first_event": (
        "which happens first , {a} or {b} ?",
        "{a} or {b} : what happens first ?",
        "what is seen earlier , {a} or {b} ?",
        "tell me which happens earlier : {a} or {b} ?",
    ),
    "match": (
        "which is right , {a} or {b} ?",
        "{a} or {b} : which is shown ?",
        "tell me what is shown : {a} or {b} ?",
        "what is right for the video , {a} or {b} ?",
    ),
    "direction": (
        "which way does the {o} move , {a} or {b} ?",
        "does the {o} move {a} or {b} ?",
        "tell me where the {o} goes : {a} or {b} ?",
        "{a} or {b} : where does the {o} go ?",
    ),
    "speed": (
        "how does the {o} move , {a} or {b} ?",
        "does the {o} move {a} or {b} ?",
        "{a} or {b} : how does the {o} go ?",
        "tell me how the {o} goes : {a} or {b} ?",
    ),
    "size": (
        "what is right for the {o} : it {a} or it {b} ?",
        "tell me what the {o} does : {a} or {b} ?",
        "{a} or {b} : what does the {o} do ?",
        "which is seen , the {o} {a} or {b} ?",
    ),
    "turn": (
        "how does the {o} turn , {a} or {b} ?",
        "tell me how the {o} turns : {a} or {b} ?",
        "{a} or {b} : how does the {o} turn ?",
        "does the {o} turn {a} or {b} ?",
    ),
    "action": (
        "what does the {o} do , {a} or {b} ?",
        "tell me what the {o} does : {a} or {b} ?",
        "{a} or {b} : what does the {o} do ?",
        "what is right for the {o} : it {a} or it {b} ?",
    ),
    "colour": (
        "what colour is the {o} , {a} or {b} ?",
        "is the {o} {a} or {b} ?",
        "{a} or {b} : which colour is the {o} ?",
        "tell me the colour of the {o} : {a} or {b} ?",
    ),
    "shape": (
        "what is shown , a {a} or a {b} ?",
        "tell me which shape is seen : {a} or {b} ?",
        "{a} or {b} : what appears in the video ?",
        "is there a {a} or a {b} ?",
    ),
    "present": (
        "is there a {o} in the video , {a} or {b} ?",
        "does a {o} appear , {a} or {b} ?",
        "tell me : is a {o} seen , {a} or {b} ?",
        "{a} or {b} : is a {o} shown ?",
    ),
}
HELDOUT_TEMPLATES: dict[str, tuple[str, ...]] = {
    "first": ("which one comes first : {a} or {b} ?", "tell me what is seen first , {a} or {b} ?", "{a} or {b} : which appears earlier ?"),
    "first_event": ("what happens earlier : {a} or {b} ?", "of {a} and {b} , which happens first ?", "tell me what happens first , {a} or {b} ?"),
    "match": ("{a} or {b} : what is right ?", "what is shown in the video , {a} or {b} ?", "tell me which is right : {a} or {b} ?"),
    "direction": ("where does the {o} move , {a} or {b} ?", "tell me which way the {o} moves : {a} or {b} ?", "{a} or {b} : which way does the {o} go ?"),
    "speed": ("{a} or {b} : how does the {o} move ?", "tell me how the {o} moves : {a} or {b} ?", "does the {o} go {a} or {b} ?"),
    "size": ("what does the {o} do , {a} or {b} ?", "{a} or {b} : which is right for the {o} ?"),
    "turn": ("which is right , the {o} turns {a} or {b} ?", "{a} or {b} : tell me how the {o} turns ?"),
    "action": ("which is seen , the {o} {a} or {b} ?", "{a} or {b} : which is right for the {o} ?"),
    "colour": ("which colour is the {o} : {a} or {b} ?", "{a} or {b} : what colour does the {o} appear in ?"),
    "shape": ("which shape is shown , {a} or {b} ?", "{a} or {b} : which is there in the video ?"),
    "present": ("{a} or {b} : is there a {o} ?", "is a {o} shown in the video , {a} or {b} ?"),
}


@dataclass(frozen=True)
class Question:
    """One question with its options in the order in which it names them."""

    aspect: str
    template: str
    text: str
    options: tuple[str, ...]
    answer: str


class Asker:
    """Writes questions about a told story with one set of templates. Randomness comes from the generator it is given."""

    def __init__(self, templates: dict[str, tuple[str, ...]], rng: random.Random) -> None:
        self.templates, self.rng = templates, rng

    def order(self, told: Sequence[Event], by: str | None = None) -> Question:
        """Which of two clips comes first, `by` object or by whole event (drawn where not given)."""
        first, second = sorted(self.rng.sample(range(len(told)), 2))
        if (by or self.rng.choice(("object", "event"))) == "object":
            return self._ask("first", "order", f"the {told[first].thing}", f"the {told[second].thing}")
        return self._ask("first_event", "order", told[first].clause, told[second].clause)

    def temporal(self, event: Event) -> Question:
        """What only time tells of one clip, asked directly."""
        aspect = self._aspect_of(event)
        return self.contrast(aspect, event, self._other_event(aspect, event))

    def match(self, event: Event) -> Question:
        """Which of two clip captions is right; they differ in one temporal word."""
        aspect = self._aspect_of(event)
        return self.matching(aspect, event, self._other_event(aspect, event))

    def contrast(self, aspect: str, event: Event, other: Event) -> Question:
        """The direct question that tells `event` from `other`, which differs from it in `aspect` alone."""
        if aspect == "speed":
            return self._ask("speed", aspect, event.speed, other.speed, event.thing)
        if event.kind == "turn":
            there, back = f"from {event.colour} to {event.how}", f"from {other.colour} to {other.how}"
            return self._ask("turn", aspect, there, back, event.shape)
        return self._ask({"move": "direction"}.get(event.kind, event.kind), aspect, event.how, other.how, event.thing)

    def matching(self, aspect: str, event: Event, other: Event) -> Question:
        """The caption-matching question that tells `event` from `other`."""
        return self._ask("match", aspect, event.clause, other.clause)

    def _aspect_of(self, event: Event) -> str:
        """The aspect to ask about; of a move, its direction or its speed."""
        if event.kind == "move" and self.rng.random() < 0.5:
            return "speed"
        return ASPECT_OF_KIND[event.kind]

    def _other_event(self, aspect: str, event: Event) -> Event:
        if aspect == "speed":
            return at_other_speed(event)
        return with_other_action(event, self.rng) if aspect == "action" else reversed_in_time(event)

    def static(self, told: Sequence[Event]) -> Question:
        """What is there, answerable from any one frame of the clip."""
        kind = self.rng.choice(("colour", "shape", "present"))
        event = self.rng.choice(list(told))
        if kind == "colour" and event.kind != "turn":
            other = self.rng.choice([colour for colour in COLOURS if colour != event.colour])
            return self._ask("colour", "static", event.colour, other, event.shape)
        missing = [shape for shape in SHAPES if shape not in {e.shape for e in told}]
        if kind == "shape" and missing:
            return self._ask("shape", "static", event.shape, self.rng.choice(missing))
        if self.rng.random() < 0.5 or not missing:
            return self._ask("present", "static", "yes", "no", event.shape)
        return self._ask("present", "static", "no", "yes", self.rng.choice(missing))

    def _ask(self, template: str, aspect: str, right: str, wrong: str, thing: str = "") -> Question:
        index = self.rng.randrange(len(self.templates[template]))
        options = (right, wrong) if self.rng.random() < 0.5 else (wrong, right)
        if template == "present":
            options = ("yes", "no")
        text = self.templates[template][index].format(a=options[0], b=options[1], o=thing)
        return Question(aspect, f"{template}-{index}", text, options, right)


def check_held_out() -> None:
    """Raises ValueError where a held-out template is also a training template or uses a word that training never shows."""
    known = {word for group in TRAIN_TEMPLATES.values() for text in group for word in text.split()} | {"moves", "turns"}  # captions
    for kind, group in HELDOUT_TEMPLATES.items():
        for text in group:
            if text in TRAIN_TEMPLATES[kind]:
                raise ValueError(f"held-out template is a training template: {text}")
            unknown = set(text.split()) - known
            if unknown:
                raise ValueError(f"held-out template '{text}' uses words that training never shows: {sorted(unknown)}")
