"""A list of captions in time order, and which of them a question can name without being ambiguous."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from vtalign.ids import seed_from


def tidy(caption: str) -> str:
    """A caption as it is put into other texts: single spaces, no full stop at its end."""
    return " ".join(caption.split()).rstrip(".").rstrip()


def plain(text: str) -> str:
    """How captions are compared: case, spaces and a full stop make no difference."""
    return tidy(text).casefold()


@dataclass(frozen=True)
class Story:
    """Captions in time order."""

    captions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.captions)

    @cached_property
    def nameable(self) -> tuple[int, ...]:
        """Places of the captions that a question can name: no other one says the same, contains it, or is contained in it."""
        texts = [plain(caption) for caption in self.captions]
        return tuple(
            place
            for place, text in enumerate(texts)
            if all(text not in other and other not in text for at, other in enumerate(texts) if at != place)
        )

    def rearranged(self, moves: Mapping[int, int]) -> "Story":
        """Another story: place p holds what place `moves[p]` held; places that are not named keep theirs."""
        return Story(tuple(self.captions[moves.get(place, place)] for place in range(len(self))))

    def swapped(self, one: int, other: int) -> "Story":
        return self.rearranged({one: other, other: one})


def story_of(captions: Sequence[str], most: int, seed: int) -> Story:
    """The story of a list; of more than `most` captions, that many neighbours, drawn by seed."""
    texts = tuple(tidy(caption) for caption in captions)
    if len(texts) > most:
        start = random.Random(seed_from("story", texts, seed)).randrange(len(texts) - most + 1)
        texts = texts[start : start + most]
    return Story(texts)
