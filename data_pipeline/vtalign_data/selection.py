"""Stage 11, select: which of the pairs that are left stay. The first rule that a pair breaks is its reason.

Whatever was lost since stage 9, here or while scoring, may have tilted the lengths again: then they are evened out once more, so that
they do not tell chosen from rejected in what is left.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vtalign.preference.pair import VIEW_KIND, Scores
from vtalign_data.balance import Balanced, balance, balance_result
from vtalign_data.lengths import PairLength
from vtalign_data.near_duplicates import near_duplicates
from vtalign_data.score_filter_config import ScoreFilterConfig
from vtalign_data.score_rules import Rule, ScoredPair, false_rejections, high_ches, margins_out_of_bounds
from vtalign_data.stage import BatchResult, Rejected, Row

RULES: dict[str, Rule] = {
    "false_rejection": false_rejections,
    "margin": margins_out_of_bounds,
    "ches": high_ches,
    "near_duplicate": near_duplicates,
}

TEXTS = ("pair_id", "video_id", "kind", "prompt", "chosen", "rejected")
"""The columns of stage 8 that this stage reads."""


@dataclass(frozen=True)
class Selection:
    """Rows are those of stage 9 (`vtalign_data.balance.SCHEMA`); `balanced`: lengths of what the rules left, and of what stays."""

    result: BatchResult
    balanced: Balanced


def scored_pairs(texts: Iterable[Row], scored: Iterable[Row]) -> list[ScoredPair]:
    """Rows of stages 8 (`TEXTS`) and 10 (`pair_id`, `scores`) as pairs, in the order of the latter."""
    scores = {row["pair_id"]: Scores(**row["scores"]) if row["scores"] is not None else None for row in scored}
    by_id = {row["pair_id"]: ScoredPair(**row, scores=scores[row["pair_id"]]) for row in texts if row["pair_id"] in scores}
    return [by_id[pair_id] for pair_id in scores]


def select(
    pairs: Sequence[ScoredPair], lengths: Mapping[str, PairLength], config: ScoreFilterConfig, max_accuracy: float, seed: int
) -> Selection:
    """`lengths`: of all pairs that stage 9 kept, also of those that could not be scored; `max_accuracy`, `seed`: of the balance."""
    broken: dict[str, Rejected] = {}
    for reason, rule in RULES.items():
        for pair_id, detail in rule(pairs, config).items():
            broken.setdefault(pair_id, Rejected(pair_id, "filtered", reason, detail))
    left = [lengths[pair.pair_id] for pair in sorted(pairs, key=lambda pair: pair.pair_id) if pair.pair_id not in broken]
    said = [length for length in left if length.kind != VIEW_KIND]  # the others have one text on both sides
    tilted = len(left) < len(lengths)
    balanced = balance(said, max_accuracy if tilted else 1.0, seed)
    result = balance_result(balanced)
    result.rows.extend(vars(length) for length in left if length.kind == VIEW_KIND)
    result.rejected.extend(broken[pair_id] for pair_id in sorted(broken))
    return Selection(result, balanced)
