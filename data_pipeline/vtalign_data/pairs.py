"""The last step, pairs: the selected candidates as `pairs/` in the pair schema, for training and for `datasets.load_dataset`."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from vtalign.artifacts import write_atomic, write_parquet
from vtalign.cards import CARD
from vtalign.errors import InputError
from vtalign.preference.pair import Scores, TokenLogps
from vtalign.preference.schema import PAIR_SCHEMA, pair_files, pair_row
from vtalign_data.candidate import candidate_pair
from vtalign_data.stage import Row

_ROWS_PER_FILE = 4096


def put_pairs(folder: Path, candidates: Iterable[Row], selected: Mapping[str, Row], card: Callable[[Path], str]) -> None:
    """`folder` with its card; nothing to do where both are there. `card` gives its text from a folder of pairs.

    Pairs of an earlier release, which wrote no card, get theirs. Raises InputError where those are not the pairs of this run.
    """
    if not folder.is_dir():
        write_scored_pairs(folder, candidates, selected, card)
    elif not (folder / CARD).is_file():
        found = sum(pq.read_metadata(file).num_rows for file in pair_files(folder))
        if found != len(selected):
            raise InputError(
                f"{folder}: holds {found} pairs of an earlier release, this one selects {len(selected)}; "
                "move the folder away and run again, or choose another output folder"
            )
        write_atomic(folder / CARD, card(folder))


def write_scored_pairs(folder: Path, candidates: Iterable[Row], scored: Mapping[str, Row], card: Callable[[Path], str]) -> int:
    """Write `folder` with one row for every candidate in `scored`, in the order of the candidates; returns how many.

    The folder appears at once and whole, its card included, by rename: it needs no marker inside, which other tools would take for
    data.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    count = 0
    rows: list[Row] = []

    def flush() -> None:
        number = (count - 1) // _ROWS_PER_FILE
        write_parquet(partial / f"part-{number:05d}.parquet", rows, PAIR_SCHEMA)
        rows.clear()

    for row in candidates:
        score = scored.get(row["pair_id"])
        if score is None:
            continue
        pair = candidate_pair(row)
        if score["scores"] is not None:
            scores, token_logps = Scores(**score["scores"]), TokenLogps(**score["token_logps"])
            pair = replace(pair, scores=scores, token_logps=token_logps, fingerprint=score["fingerprint"])
        rows.append(pair_row(pair))
        count += 1
        if len(rows) == _ROWS_PER_FILE:
            flush()
    if rows:
        flush()
    write_atomic(partial / CARD, card(partial))
    os.rename(partial, folder)
    return count
