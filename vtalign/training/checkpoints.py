"""`checkpoint-N` folders that can be trusted: complete only with a marker that is written last and lists what must be there."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from vtalign.artifacts import write_json

MARKER = "complete.json"


class RecordProvenance(TrainerCallback):
    """Puts `records` (file name to text) into every checkpoint; must come before the callback that marks it complete."""

    def __init__(self, records: Mapping[str, str]) -> None:
        self._records = records

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
            for name, text in self._records.items():
                (folder / name).write_text(text, encoding="utf-8")


class MarkCheckpoint(TrainerCallback):
    """Marks a checkpoint when all of it is on disk. `on_save` comes after this process wrote its files of it."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        PartialState().wait_for_everyone()  # random states and shards are files of every process
        if state.is_world_process_zero:
            mark_complete(Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")


def mark_complete(folder: Path) -> None:
    """Flush every file of `folder` to disk, then write the marker with their sizes in bytes."""
    sizes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MARKER:
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
            sizes[str(path.relative_to(folder))] = path.stat().st_size
    write_json(folder / MARKER, {"files": sizes})


def is_complete(folder: Path) -> bool:
    """Whether the marker is there and every file it lists has its size (a half-deleted folder may still have a marker)."""
    try:
        sizes = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return False
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())


def last_complete(folder: Path) -> Path | None:
    """The newest complete checkpoint under `folder`. Torn ones are removed: Trainer would count them when it deletes old ones."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if not is_complete(path):
            shutil.rmtree(path)
        else:
            found.append((int(path.name.removeprefix(f"{PREFIX_CHECKPOINT_DIR}-")), path))
    return max(found)[1] if found else None


@contextlib.contextmanager
def published(target: Path) -> Iterator[Path]:
    """An empty folder to write to, which becomes `target` in one rename when the block ends without an error."""
    partial = target.with_name(f".{target.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    yield partial
    mark_complete(partial)
    if target.exists():
        shutil.rmtree(target)
    os.replace(partial, target)


def link_tree(source: Path, target: Path) -> None:
    """`target` becomes a copy of `source`, of hard links where the file system has them, in one rename."""
    with published(target) as partial:
        shutil.copytree(source, partial, copy_function=_link_or_copy, dirs_exist_ok=True)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
