"""Questions about stories: templates that training sees, templates kept for validation and held-out splits, and their options."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from vtalign_data.synth.world import (
    ASPECT_OF_KIND,
    COLOURS,
    SHAPES,
    Event,
    altered,
    random_event,
)

CAPTION_PROMPTS = ("describe the video .", "what happens in the video ?", "tell me what happens .")

# A template is a question put into a form. Training sees every question and every form, but of each question only some forms.
_FORMS = (
    "{question} , {a} or {b} ?",
    "{question} : {a} or {b} ?",
    "{a} or {b} : {question} ?",
    "tell me : {question} , {a} or {b} ?",
    "{a} or {b} , tell me : {question} ?",
    "of {a} and {b} , {question} ?",
)
_QUESTIONS: dict[str, tuple[str, ...]] = {
    "first": ("what comes first", "which one is seen first", "which appears earlier", "what is earlier in the video"),
    "first_event": ("which happens first", "what happens first", "what is seen earlier", "which happens earlier"),
    "match": ("which is right", "what is shown", "what is right for the video", "which is seen"),
    "direction": ("which way does the {o} move", "where does the {o} go", "which way does the {o} go", "where does the {o} move"),
    "speed": ("how does the {o} move", "how fast is the {o}", "how fast does the {o} move", "how does the {o} go"),
    "size": ("what does the {o} do", "what happens to the {o}", "what is right for the {o}", "which change is seen on the {o}"),
    "turn": ("how does the {o} turn", "how does the {o} change", "which turn is seen on the {o}", "which turn does the {o} take"),
    "action": ("what does the {o} do", "what happens to the {o}", "what is right for the {o}", "how does the {o} change"),
    "colour": (
        "what colour is the {o}",
        "which colour is the {o}",
        "what colour does the {o} have",
        "which colour is seen on the {o}",
    ),
    "thing": ("which one is there", "which one is shown", "which one appears in the video", "which one does appear"),
    "shape": ("what is there", "which shape is seen", "what appears in the video", "which shape is there"),
    "present": ("is there a {o}", "does a {o} appear", "is a {o} seen", "is a {o} shown in the video"),
}


def _templates(offsets: tuple[int, ...]) -> dict[str, tuple[str, ...]]:
    """Of question number i the forms number i + offset, for every kind of question."""
    return {
        kind: tuple(
            _FORMS[(number + offset) % len(_FORMS)].replace("{question}", question)
            for number, question in enumerate(questions)
            for offset in offsets
        )
        for kind, questions in _QUESTIONS.items()
    }


TRAIN_TEMPLATES = _templates((1, 2, 4, 5))
VALIDATION_TEMPLATES = _templates((0,))
HELDOUT_TEMPLATES = _templates((3,))


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
        return self.contrast(aspect, event, altered(event, aspect, self.rng))

    def match(self, event: Event) -> Question:
        """Which of two clip captions is right; they differ in one temporal word."""
        aspect = self._aspect_of(event)
        return self.matching(aspect, event, altered(event, aspect, self.rng))

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

    def thing(self, told: Sequence[Event]) -> Question:
        """Which of two objects is there, named alone or with what it does. The other one's shape is not in the video at all.

        Only the options say which of the objects that are there is meant, so it teaches to read them, and nothing about time.
        """
        event = self.rng.choice(list(told))
        shape = self.rng.choice([shape for shape in SHAPES if shape not in {e.shape for e in told}])
        other = random_event(self.rng, shape=shape, colour=self.rng.choice(list(COLOURS)))
        if self.rng.random() < 0.5:
            return self._ask("thing", "static", f"the {event.thing}", f"the {other.thing}")
        return self._ask("thing", "static", event.clause, other.clause)

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
