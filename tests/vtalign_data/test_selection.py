import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vtalign.preference.pair import VIEW_KIND
from vtalign_data.score_filter_config import ScoreFilterConfig
from vtalign_data.score_rules import ScoredPair
from vtalign_data.selection import Selection, scored_pairs, select

from .scored import SCORES, length_of, scored


def selected(
    pairs: list[ScoredPair], max_accuracy: float = 1.0, balanced: list[ScoredPair] | None = None, **settings: Any
) -> Selection:
    lengths = {pair.pair_id: length_of(pair) for pair in balanced or pairs}
    return select(pairs, lengths, ScoreFilterConfig(**settings), max_accuracy, seed=0)


def kept(selection: Selection) -> set[str]:
    return {row["pair_id"] for row in selection.result.rows}


def confounded(n: int) -> list[ScoredPair]:
    """Chosen is the longer side of every other pair, but in pairs of low divergence it always is the shorter one."""
    pairs = []
    for number in range(n):
        long, short = f"{number} goes on and on", f"{number} ends"
        longer = number % 2 == 0
        said = ("What?", *((long, short) if longer else (short, long)))
        pairs.append(scored(number, f"video-{number // 4}", said=said, divergence=0.5 if longer or number % 4 == 1 else 0.01))
    return pairs


def test_by_default_everything_stays_even_where_lengths_tell() -> None:
    pairs = [scored(number, f"video-{number}", said=("What?", "a long answer", "short")) for number in range(20)]
    pairs.append(scored(99, kind=VIEW_KIND, said=("What?", "a", "a")))
    chosen = selected(pairs, max_accuracy=0.55)
    assert kept(chosen) == {pair.pair_id for pair in pairs} and chosen.result.rejected == [] and chosen.balanced.level == "none"
    assert chosen.balanced.before == chosen.balanced.after and chosen.balanced.after.pairs == 20, "lengths are those of two texts"


def test_the_first_rule_that_is_broken_is_the_reason() -> None:
    said = ("What?", "one two three four", "four three two one")
    pairs = [
        scored(1, said=said),
        scored(2, divergence=0.0, logp_rejected=-1.0, ches=9.0, said=said),
        scored(3, logp_rejected=-1.0, ches=9.0),
        scored(4, ches=9.0),
        scored(5, said=said),
        scored(6),
    ]
    chosen = selected(pairs, min_divergence=0.1, min_margin=0.0, max_ches=0.0, near_duplicate=0.9)
    assert [(lost.id, lost.outcome, lost.reason) for lost in chosen.result.rejected] == [
        ("pair-002", "filtered", "false_rejection"),
        ("pair-003", "filtered", "margin"),
        ("pair-004", "filtered", "ches"),
        ("pair-005", "filtered", "near_duplicate"),
    ]
    assert kept(chosen) == {"pair-001", "pair-006"}


def test_lengths_are_evened_out_in_what_is_left() -> None:
    pairs = confounded(400)
    assert Counter(length_of(pair).sign for pair in pairs) == {1: 200, -1: 200}
    chosen = selected(pairs, 0.55, min_divergence=0.1)
    reasons = Counter(lost.reason for lost in chosen.result.rejected)
    assert reasons == {"false_rejection": 100, "length": 100} and len(chosen.result.rows) == 200
    before, after = chosen.balanced.before, chosen.balanced.after
    assert before.pairs == 300 and before.accuracy is not None and before.accuracy > 0.6
    assert after.chosen_longer == after.chosen_shorter == 100 and after.accuracy is not None and after.accuracy <= 0.55


def test_what_could_not_be_scored_is_evened_out_too() -> None:
    pairs = confounded(400)
    chosen = selected([pair for pair in pairs if pair.scores.divergence == 0.5], 0.55, balanced=pairs)
    assert Counter(lost.reason for lost in chosen.result.rejected) == {"length": 100}


def test_view_pairs_meet_the_rules_but_not_the_balance() -> None:
    pairs = [*confounded(40), scored(90, kind=VIEW_KIND), scored(91, kind=VIEW_KIND, divergence=0.0)]
    chosen = selected(pairs, 0.55, min_divergence=0.1)
    assert "pair-090" in kept(chosen) and "pair-091" not in kept(chosen)


@given(st.integers(0, 1000))
def test_the_order_of_the_pairs_does_not_matter(seed: int) -> None:
    pairs = confounded(40)
    settings: dict[str, Any] = {"min_divergence": 0.1, "drop_top_ches": 0.2, "near_duplicate": 0.5}
    shuffled = random.Random(seed).sample(pairs, len(pairs))
    assert selected(shuffled, 0.55, **settings) == selected(pairs, 0.55, **settings)


def test_rows_of_two_stages_make_the_pairs() -> None:
    text = {"video_id": "v", "kind": "order", "prompt": "p", "chosen": "c", "rejected": "r"}
    texts = [{"pair_id": name, **text} for name in ("b", "lost", "a")]
    pairs = scored_pairs(texts, [{"pair_id": name, "scores": vars(SCORES)} for name in ("a", "b")])
    assert pairs == [ScoredPair("a", "v", "order", "p", "c", "r", SCORES), ScoredPair("b", "v", "order", "p", "c", "r", SCORES)]
