"""What stands for a caption where several are to be put in order: the whole of it, a phrase from it, or how it begins."""

import random
from dataclasses import dataclass

from vtalign_data.text_pairs.story import Story, plain

_LONGEST = 5  # words of a phrase
_SHORTEST = 2


@dataclass(frozen=True)
class Fragment:
    """`text` belongs to the caption at `place` and to no other."""

    place: int
    text: str


def whole_captions(story: Story) -> list[Fragment]:
    return [Fragment(place, story.captions[place]) for place in story.nameable]


def phrases_of(story: Story, rng: random.Random) -> list[Fragment]:
    """A run of 2 to 5 words of each caption, drawn, that stands in no other caption and is not all of its own."""
    found = []
    for place in story.nameable:
        words = story.captions[place].split()
        runs = [
            " ".join(words[start : start + length])
            for length in range(_SHORTEST, min(_LONGEST, len(words) - 1) + 1)
            for start in range(len(words) - length + 1)
        ]
        own = [run.strip(",;:") for run in runs if _is_only_in(story, place, run.strip(",;:"))]
        if own:
            found.append(Fragment(place, rng.choice(own)))
    return found


def prefixes_of(story: Story) -> list[Fragment]:
    """The shortest beginning of each caption, of at least two words, that no other caption has, and that is not all of it."""
    found = []
    for place in story.nameable:
        words = story.captions[place].split()
        begins = (" ".join(words[:length]).strip(",;:") for length in range(_SHORTEST, len(words)))
        own = next((begin for begin in begins if _is_only_in(story, place, begin)), None)
        if own is not None:
            found.append(Fragment(place, own))
    return found


def _is_only_in(story: Story, place: int, text: str) -> bool:
    return bool(text) and all(plain(text) not in plain(other) for at, other in enumerate(story.captions) if at != place)
