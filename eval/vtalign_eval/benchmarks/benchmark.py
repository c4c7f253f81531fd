"""`Benchmark`: what a benchmark declares. Prediction, controls, statistics and files are the same for all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vtalign.errors import InputError
from vtalign.ids import file_hash
from vtalign_eval.grade import Grade
from vtalign_eval.items import Item, check_items, is_confined
from vtalign_eval.judging.question import Judged, Judging


@dataclass(frozen=True)
class Benchmark:
    """A benchmark. Your own is an object of this class in a package of yours, whose pyproject.toml names it:

        [project.entry-points."vtalign.benchmarks"]
        my-benchmark = "my_package:MY_BENCHMARK"        # the same name as in the object

    After `pip install` of that package, every `vtalign eval` command knows `--benchmark my-benchmark`. All that it needs is in
    `vtalign_eval.benchmarks`: `Item`, `Grade`, `grade_options` for replies that are one of the item's options, and `read_lines`
    for JSONL. Whatever `load` returns is checked (`items`): ids are unique, aspects declared, answers among the options.

    `load` reads the items of a data folder (InputError where it cannot); `question_files` are what it may read there, and the
    hashes of those that are there pin the data version. `missing` says what a data folder lacks, one line each, and `layout` how to
    lay it out. `export` writes files of the benchmark's own beside the results, from the items and their replies in one order and
    the verdicts of the run's judge (None without one).
    `grade` judges a reply (None: the video could not be read). `suffixes` (by task), or else `suffix`, is appended to each
    question. Items of `judged_tasks` are asked and their replies kept, but no rule can grade them: they are in no
    metric but a judge's. `judging` says how a judge is asked what no rule grades (None: there is no use for one). `spellings` (of an
    option, by task) are the whole replies that say an option; each must be read by `grade` as that option. `version` rises
    whenever the same replies would get other numbers.
    """

    name: str
    load: Callable[[Path], Sequence[Item]]
    question_files: tuple[str, ...]
    grade: Callable[[str | None, Item], Grade]
    temporal_aspects: tuple[str, ...]
    static_aspects: tuple[str, ...] = ()
    suffix: str = ""
    suffixes: Mapping[str, str] = field(default_factory=dict)
    judged_tasks: tuple[str, ...] = ()
    judging: Judging | None = None
    spellings: Callable[[str, str], tuple[str, ...]] = lambda option, task: (option,)
    missing: Callable[[Path], Sequence[str]] = lambda data: ()
    layout: str = ""
    export: Callable[[Path, Sequence[Item], Sequence[str | None], Judged | None], None] = lambda out, items, replies, judged: None
    max_new_tokens: int = 32
    version: int = 1

    def items(self, data: Path) -> tuple[Item, ...]:
        """What `load` found. Raises InputError for no items, and for an item that could not be asked or counted as declared."""
        items = tuple(self.load(data))
        if not items:
            raise InputError(f"{data}: holds no questions of {self.name}")
        if self.question_files and not self.file_hashes(data):
            raise InputError(f"{data}: holds none of the files that {self.name} declares ({', '.join(self.question_files)})")
        check_items(items, lambda index: f"{self.name}, item {index}")
        for item in items:
            where = f"{self.name}, item '{item.question_id}'"
            if not is_confined(item.video):
                raise InputError(f"{where}: video: {item.video!r} must be a relative path inside the data folder")
            if item.aspect not in (*self.temporal_aspects, *self.static_aspects):
                known = ", ".join((*self.temporal_aspects, *self.static_aspects))
                raise InputError(f"{where}: aspect: {item.aspect!r} is none that the benchmark declares ({known})")
            if item.options and item.task not in self.judged_tasks and item.answer.strip() not in item.options:
                raise InputError(f"{where}: answer: {item.answer!r} is none of the options {list(item.options)}")
        return items

    def prompt(self, question: str, task: str) -> str:
        """What the model is asked beside the video."""
        return question + self.suffixes.get(task, self.suffix)

    def file_hashes(self, data: Path) -> dict[str, str]:
        """SHA-256 of each question file that is there."""
        return {name: file_hash(data / name) for name in self.question_files if (data / name).is_file()}
