"""The last step, pairs: the scored candidates as `pairs/` in the pair schema, for training and for `datasets.load_dataset`."""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from vtalign.artifacts import write_parquet
from vtalign.preference.pair import Scores, TokenLogps
from vtalign.preference.schema import PAIR_SCHEMA, pair_row
from vtalign_data.candidate import candidate_pair
from vtalign_data.stage import Row

_ROWS_PER_FILE = 4096


def write_scored_pairs(folder: Path, candidates: Iterable[Row], scored: Mapping[str, Row]) -> int:
    """Write `folder` with one row for every candidate of `scored` (a row whose `scores` is None gives a pair without), in the order of
    the candidates; returns how many.

    The folder appears at once and whole, by rename: it needs no marker inside, which other tools would take for data.
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
    os.rename(partial, folder)
    return count
