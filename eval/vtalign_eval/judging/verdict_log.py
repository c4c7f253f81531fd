"""`VerdictLog`: what a judge said, kept row by row, so that a run that goes on asks nothing twice."""

from collections.abc import Sequence
from pathlib import Path

from vtalign.artifacts import append_jsonl, read_jsonl
from vtalign.config import Config, validate_config
from vtalign.errors import InputError
from vtalign.ids import stable_id

VERDICTS = "judge.jsonl"


class VerdictRow(Config):
    """One reply and what a judge said of it. `key` is a hash of judge, prompt hash and everything that the judge read."""

    key: str
    judge: str
    prompt_hash: str
    question_id: str
    reply: str
    said: str


class VerdictLog:
    """Words of judges by key, in the append-only `judge.jsonl` of a run; a torn last line from a kill is not counted.

    `shared`: a folder that several runs read. Each writes a file of its own there, so that runs side by side tear nothing.
    """

    def __init__(self, folder: Path, shared: Path | None = None) -> None:
        self._own = folder / VERDICTS
        self._shared = None if shared is None else shared / f"{stable_id('run', str(folder.resolve()))}.jsonl"
        self.said: dict[str, str] = {row.key: row.said for row in _rows(self._own)} if self._own.exists() else {}
        self._elsewhere = {row.key: row for path in _files(shared) for row in _rows(path)}

    def adopt(self, keys: Sequence[str]) -> None:
        """Take over what other runs were told, into this run's own file."""
        found = [self._elsewhere[key] for key in dict.fromkeys(keys) if key in self._elsewhere and key not in self.said]
        self._append(self._own, found)
        self.said.update({row.key: row.said for row in found})

    def add(self, row: VerdictRow) -> None:
        """Keep a row, durably."""
        self._append(self._own, [row])
        if self._shared is not None:
            self._append(self._shared, [row])
        self.said[row.key] = row.said

    def _append(self, path: Path, rows: Sequence[VerdictRow]) -> None:
        if rows:
            append_jsonl(path, [row.model_dump() for row in rows])


def _files(shared: Path | None) -> list[Path]:
    if shared is None:
        return []
    try:
        shared.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{shared}: cannot be a folder of verdicts: {error.strerror}; choose another judge.cache") from None
    return sorted(shared.glob("*.jsonl"))


def _rows(path: Path) -> list[VerdictRow]:
    return [validate_config(VerdictRow, row, f"{path}; remove the file to ask again") for row in read_jsonl(path)]
