"""`vtalign data text`: a file with lists of captions becomes preference pairs and SFT rows about order, without any video."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vtalign.artifacts import claim_run_folder, hold_run_folder, parse_line, remove_leftovers, write_json
from vtalign.errors import InputError, RunFailed
from vtalign.ids import file_hash, stable_id
from vtalign_data.config import FilterConfig
from vtalign_data.exchange.losses import in_words, keep_losses
from vtalign_data.progress import BuildProgress, SilentProgress
from vtalign_data.stage import Rejected, Stage
from vtalign_data.text_pairs.config import TextRunConfig
from vtalign_data.text_pairs.rows import SCHEMA, CaptionList, make_text_rows, write_text_pairs


@dataclass(frozen=True)
class TextSummary:
    """`lost`: lists by reason, all of them in `rejected.jsonl`; `duplicates`: questions that another list had asked already."""

    out: Path
    lists: int
    pairs: int
    sft_rows: int
    duplicates: int
    by_kind: dict[str, int]
    lost: dict[str, int]

    def line(self) -> str:
        said = [f"{self.out}: {self.pairs} pairs and {self.sft_rows} SFT rows from {self.lists} lists ({in_words(self.by_kind)})"]
        if self.duplicates:
            said.append(f"{self.duplicates} duplicates left out")
        if self.lost:
            said.append(f"lost: {in_words(self.lost)}")
        return "; ".join(said)


def run_text(config: TextRunConfig, progress: BuildProgress | None = None) -> TextSummary:
    """Write `config.out/pairs` and `config.out/sft.jsonl`; go on where an earlier, killed run stopped.

    Raises InputError (nothing to read, with `strict` the first bad line), RunFailed where no question is left.
    """
    told = progress or SilentProgress()
    lists, lost = read_lists(config.captions, config.strict)
    claim_run_folder(config.out, _settings(config), "data text")
    with hold_run_folder(config.out):
        return _write_all(config, lists, lost, told)


def _write_all(config: TextRunConfig, lists: list[CaptionList], lost: list[Rejected], told: BuildProgress) -> TextSummary:
    stage = Stage(config.out / "stages" / "01-text", SCHEMA, "pair")
    told.start(stage.name, len(lists), "list")
    placeholders = FilterConfig().placeholders
    stage.run(
        lists,
        lambda one: one.list_id,
        lambda batch: make_text_rows(batch, config.questions, config.seed, placeholders),
        batch_size=config.batch_size,
        on_batch=told.advance,
    )
    lost += stage.rejected()
    by_reason = keep_losses(config.out, lost, told)
    if not stage.counts().kept:
        where = config.out / "rejected.jsonl"
        raise RunFailed(f"{config.out}: no questions left of {len(lost)} lists ({in_words(by_reason)}); see {where}")
    counts = write_text_pairs(config.out, stage.rows())
    summary = TextSummary(config.out, len(lists), lost=by_reason, **counts)
    write_json(config.out / "summary.json", {**asdict(summary), "out": str(config.out)})
    remove_leftovers(config.out)
    return summary


def _settings(config: TextRunConfig) -> dict[str, Any]:
    settings = config.model_dump(mode="json", exclude={"out"})
    settings["captions"] = str(config.captions.resolve())
    return {"config": settings, "captions": file_hash(config.captions), "versions": {"vtalign": version("vtalign")}}


def read_lists(file: Path, strict: bool) -> tuple[list[CaptionList], list[Rejected]]:
    """The lists of a JSONL file, sorted by id, and the lines that hold none or one that was there before.

    Raises InputError where there is no such file or nothing in it; with `strict` for the first bad line.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    lists: dict[str, CaptionList] = {}
    places: dict[str, str] = {}
    lost: list[Rejected] = []
    own: Counter[str] = Counter()
    for number, line in _lines(file):
        place = f"{file.name}:{number}"
        try:
            found = _list_of(parse_line(file, number, line), file, number)
        except InputError as error:
            if strict:
                raise
            lost.append(Rejected(place, "failed", "bad_line", str(error).removeprefix(f"{file}:{number}: ")))
            continue
        own[found.list_id] += 1
        if found.list_id in lists:
            same = lists[found.list_id].captions == found.captions
            reason = "duplicate" if same else "id_twice"
            lost.append(Rejected(place, "filtered" if same else "failed", reason, f"as {places[found.list_id]}: {found.list_id}"))
            continue
        lists[found.list_id], places[found.list_id] = found, place
    if not own and not lost:
        raise InputError(f"{file}: holds no lists of captions")
    return sorted(lists.values(), key=lambda one: one.list_id), lost


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    with file.open("rb") as handle:
        yield from ((number, line) for number, line in enumerate(handle, 1) if line.strip())


def _list_of(row: dict[str, Any], file: Path, number: int) -> CaptionList:
    """Raises InputError `file:line: key: reason`."""
    captions = row.get("captions")
    if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
        raise InputError(f"{file}:{number}: captions: expected a list of texts, got {str(captions)[:60]!r}")
    for key in ("id", "video"):
        if row.get(key) is not None and not isinstance(row[key], str | int):
            raise InputError(f"{file}:{number}: {key}: expected a text, got {str(row[key])[:60]!r}")
    for key, text in (("captions", " ".join(captions)), ("id", str(row.get("id"))), ("video", str(row.get("video")))):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"{file}:{number}: {key}: holds half a surrogate pair, which no file can keep") from None
    video = str(row["video"]) if row.get("video") is not None else ""
    named = str(row["id"]) if row.get("id") is not None else stable_id("captions", video, captions)
    return CaptionList(named, video, tuple(captions))
