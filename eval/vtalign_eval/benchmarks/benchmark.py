"""`Benchmark`: what a benchmark declares. Prediction, controls, statistics and files are the same for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vtalign_eval.grade import Grade
from vtalign_eval.items import Item


@dataclass(frozen=True)
class Benchmark:
    """A benchmark. Your own goes into the entry points `vtalign.benchmarks` (an object of this class).

    `load` reads the items of a data folder (InputError where it cannot); `question_files` are what it reads there, whose hashes
    pin the data version. `grade` judges a reply (None: the video could not be read). `suffix` is appended to each
    question. `version` rises whenever the same replies would get other numbers.
    """

    name: str
    load: Callable[[Path], Sequence[Item]]
    question_files: tuple[str, ...]
    grade: Callable[[str | None, Item], Grade]
    temporal_aspects: tuple[str, ...]
    static_aspects: tuple[str, ...] = ()
    suffix: str = ""
    max_new_tokens: int = 32
    version: int = 1
