"""Scores of a stage's pairs by the model that the stage starts from: what a self-paced curriculum orders by."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from vtalign.artifacts import write_parquet
from vtalign.models.requests import FrameSource
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import PreferencePair, Scores
from vtalign.preference.schema import PAIR_SCHEMA
from vtalign.preference.scoring import count_rows, score_pairs

SCHEMA = pa.schema([("pair_id", pa.string()), ("scores", PAIR_SCHEMA.field("scores").type), ("fingerprint", pa.string())])


def own_scores(
    pairs: Sequence[PreferencePair],
    lm: VideoLM,
    source: FrameSource,
    file: Path,
    *,
    divergence: bool,
    batch_size: int,
    show_progress: bool,
) -> dict[str, Scores]:
    """Scores by pair id; `file` keeps them, and is believed on resume. Without `divergence` perturbed views are not read."""
    known = _read(file, lm.fingerprint)
    if known.keys() == {pair.pair_id for pair in pairs}:
        return known
    asked = list(pairs) if divergence else [replace(pair, perturbed_view=None) for pair in pairs]
    with tqdm(total=count_rows(asked), desc="difficulty", unit="row", disable=not show_progress, mininterval=0.5) as bar:

        def on_done(count: int) -> None:
            bar.update(count)

        scored = score_pairs(lm, asked, source, batch_size=batch_size, on_done=on_done)
    known = {pair.pair_id: pair.scores for pair in scored if pair.scores is not None}
    rows = [{"pair_id": name, "scores": vars(scores), "fingerprint": lm.fingerprint} for name, scores in sorted(known.items())]
    write_parquet(file, rows, SCHEMA)
    return known


def _read(file: Path, fingerprint: str) -> dict[str, Scores]:
    rows: list[dict[str, Any]] = pq.read_table(file, schema=SCHEMA).to_pylist() if file.is_file() else []
    return {row["pair_id"]: Scores(**row["scores"]) for row in rows if row["fingerprint"] == fingerprint}
