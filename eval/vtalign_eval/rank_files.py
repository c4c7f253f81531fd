"""One evaluation on several ranks: whole videos for each, and append-only files of each rank's own.

Whatever number of ranks left files, any other number reads them all and goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from vtalign.artifacts import write_json
from vtalign_eval.reply import Reply

if TYPE_CHECKING:
    from vtalign_eval.predict import Question

FAILURES = "failures.json"
_REPLIES = TypeAdapter(dict[str, Reply])


def share_of(questions: Sequence["Question"], rank: int, ranks: int) -> list["Question"]:
    """What `rank` of `ranks` answers. Videos are dealt out in turn by their sorted names, each with all of its questions."""
    mine = set(sorted({question.item.video for question in questions})[rank::ranks])
    return [question for question in questions if question.item.video in mine]


def file_of_rank(path: Path, rank: int) -> Path:
    """`replies.jsonl` of rank 0, `replies.rank-3.jsonl` of rank 3."""
    return path if rank == 0 else path.with_name(f"{path.stem}.rank-{rank}{path.suffix}")


def files_of_all_ranks(path: Path) -> list[Path]:
    """The files that any rank of this or an earlier attempt left."""
    return [*([path] if path.exists() else []), *sorted(path.parent.glob(f"{path.stem}.rank-*{path.suffix}"))]


def hand_over_failures(folder: Path, rank: int, failed: Mapping[str, Reply]) -> None:
    """Tell rank 0 what failed here, by key. Failures are in no log: the next attempt tries them again."""
    write_json(file_of_rank(folder / FAILURES, rank), {key: asdict(reply) for key, reply in failed.items()})


def failures_handed_over(folder: Path, ranks: int) -> dict[str, Reply]:
    """What failed on the other ranks, once all of them have handed that over."""
    failed: dict[str, Reply] = {}
    for rank in range(1, ranks):
        failed.update(_REPLIES.validate_json(file_of_rank(folder / FAILURES, rank).read_bytes()))
    for file in files_of_all_ranks(folder / FAILURES):
        file.unlink()
    return failed
