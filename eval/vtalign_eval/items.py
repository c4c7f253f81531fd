"""`Item`: one question of a benchmark about one video, and the checks that hold for the items of any benchmark."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from vtalign.artifacts import parse_line
from vtalign.errors import InputError


@dataclass(frozen=True)
class Item:
    """One question. `video` is relative to the benchmark's folder; `family` joins videos cut from one source (a cluster).

    `task` names one of several tasks of a benchmark.
    `group` names a conflict group: the same question asked of sibling videos with different right answers.
    """

    question_id: str
    video: str
    family: str
    aspect: str
    question: str
    options: tuple[str, ...]
    answer: str
    group: str | None = None
    events: int | None = None
    task: str = ""


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, row) of a JSONL input. Unlike in our own logs, the last line counts without a newline too."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); is this the right data folder?") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, parse_line(path, number, line)


def is_confined(video: str) -> bool:
    """Whether a relative path names something below the folder that it is relative to."""
    path = PurePosixPath(video)
    return bool(video) and not path.is_absolute() and ".." not in path.parts and "\\" not in video


def check_items(items: Sequence[Item], where: Callable[[int], str]) -> None:
    """Raises InputError for repeated question ids, and for conflict groups that are none.

    `where(index)` names an item's place (file and line) in messages.
    """
    first: dict[str, int] = {}
    members: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        if item.question_id in first:
            earlier = where(first[item.question_id])
            raise InputError(f"{where(index)}: question_id: '{item.question_id}' was already used by {earlier}")
        first[item.question_id] = index
        if item.group is not None:
            members[item.group].append(index)
    for group, indices in members.items():
        head = items[indices[0]]
        for index in indices[1:]:
            for field in ("family", "question", "aspect"):
                ours, theirs = getattr(items[index], field), getattr(head, field)
                if ours != theirs:
                    there = f"{theirs!r} in {where(indices[0])}"
                    raise InputError(f"{where(index)}: {field}: conflict group '{group}' has {there} and {ours!r} here")
            if set(items[index].options) != set(head.options):
                raise InputError(f"{where(index)}: options: differ from those of conflict group '{group}' in {where(indices[0])}")
        if len({items[index].answer for index in indices}) < 2:
            raise InputError(f"{where(indices[0])}: group: all questions of conflict group '{group}' have the same answer")


def take(items: Sequence[Item], limit: int | None) -> tuple[Item, ...]:
    """The first `limit` items (all where None). Members of a conflict group that the limit cuts no longer name it."""
    kept = tuple(items if limit is None else items[:limit])
    cut = {item.group for item in items[len(kept) :] if item.group is not None}
    return tuple(replace(item, group=None) if item.group in cut else item for item in kept)
