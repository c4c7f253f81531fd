"""Stages 9 to 11: which of the filtered candidates are left once lengths are even, scores are there and the last rules were asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from vtalign.artifacts import write_json
from vtalign.preference.pair import VIEW_KIND
from vtalign.video.frames import FrameStore
from vtalign_data import balance, score, selection
from vtalign_data.config import BuildConfig
from vtalign_data.lengths import PairLength
from vtalign_data.run_model import RunModel
from vtalign_data.runners.task import VIDEO_LM, task
from vtalign_data.stage import BatchResult, Row, RunStage, Stage


class PairSelection:
    """`say`: told where lengths cannot be evened out."""

    def __init__(self, run_stage: RunStage, config: BuildConfig, model: RunModel, say: Callable[[str], object]) -> None:
        self._run_stage, self._config, self._model, self._say = run_stage, config, model, say

    def selected(self, filtered: Stage, frames: FrameStore) -> dict[str, Row]:
        """Rows of `score.SCHEMA` of the pairs that stay, by pair id; of a build without weights they hold no scores."""
        balanced = self._run_stage(
            "09-balance", ("pair", "pair"), balance.SCHEMA, list(filtered.rows()), _pair_id, self._balance, None
        )
        lengths = {row["pair_id"]: PairLength(**row) for row in balanced.rows()}
        scored = self._scored(filtered, lengths.keys(), frames)
        selected = self._run_stage(
            "11-select",
            ("pair", "pair"),
            balance.SCHEMA,
            selection.scored_pairs(filtered.rows(selection.TEXTS), scored()),
            lambda pair: pair.pair_id,
            lambda pairs: self._select(pairs, lengths),
            None,
        )
        staying = {row["pair_id"] for row in selected.rows(["pair_id"])}
        return {row["pair_id"]: row for row in scored() if row["pair_id"] in staying}

    def _scored(self, filtered: Stage, pair_ids: Iterable[str], frames: FrameStore) -> Callable[[], Iterable[Row]]:
        """The rows of stage 10, as often as they are asked for."""
        kept = set(pair_ids)
        if self._config.model is None:
            unscored = score.without_scores(filtered.rows(["pair_id", "group_id"]), kept)
            return lambda: unscored
        stage = self._run_stage(
            "10-score",
            ("video", "pair"),
            score.SCHEMA,
            rows_by_view([filtered], kept),
            lambda rows: str(rows[0]["view_id"]),
            task(score.score_candidates, VIDEO_LM, frames, self._config.model_batch_size),
            self._config.batch_size,
        )
        return stage.rows

    def _balance(self, rows: Sequence[Row]) -> BatchResult:
        lengths = balance.measure(rows, self._model.count_tokens)
        of_views = [length for length in lengths if length.kind == VIEW_KIND]  # their two sides are one text
        said = [length for length in lengths if length.kind != VIEW_KIND]
        balanced = balance.balance(said, self._config.balance.max_accuracy, self._config.seed)
        self._keep_lengths("09-balance", balanced)
        result = balance.balance_result(balanced)
        result.rows.extend(vars(length) for length in of_views)
        return result

    def _select(self, pairs: Sequence[selection.ScoredPair], lengths: Mapping[str, PairLength]) -> BatchResult:
        config = self._config
        selected = selection.select(pairs, lengths, config.score_filters, config.balance.max_accuracy, config.seed)
        self._keep_lengths("11-select", selected.balanced)
        return selected.result

    def _keep_lengths(self, stage: str, balanced: balance.Balanced) -> None:
        accuracy = balanced.after.accuracy
        if accuracy is not None and accuracy > self._config.balance.max_accuracy:
            self._say(f"{stage}: warning: lengths still tell chosen from rejected in {accuracy:.0%} of the pairs")
        write_json(self._config.out / "stages" / stage / "lengths.json", balanced.to_dict())


def rows_by_view(stages: Sequence[Stage], pair_ids: set[str] | None = None) -> list[list[Row]]:
    """The rows of each view together, in the order of the stages; only pairs of `pair_ids` where given."""
    views: dict[str, list[Row]] = {}
    for stage in stages:
        for row in stage.rows():
            if pair_ids is None or row["pair_id"] in pair_ids:
                views.setdefault(str(row["view_id"]), []).append(row)
    return list(views.values())


def _pair_id(row: Row) -> str:
    return str(row["pair_id"])
