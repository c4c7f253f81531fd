"""Rules of stage 11 on what a model says of each pair (`vtalign.preference.pair.Scores`).

- `false_rejection`: the model expects much the same on the perturbed view, so what is rejected would be answered there and here
  (ArrowRL selects by the same divergence, https://arxiv.org/abs/2506.03340);
- `margin`: how far the model prefers the chosen side already lies outside the bounds;
- `ches`: the two sides are so alike inside the model that training on them tends to lower both (`vtalign.preference.ches`).

A rule names the pairs that break it and says why. It looks at all pairs that reach the stage, whatever other rules say of them, so
that a stricter threshold never brings a pair back. A score that was not measured breaks no rule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vtalign.preference.pair import VIEW_KIND, Scores
from vtalign_data.score_filter_config import ScoreFilterConfig


@dataclass(frozen=True)
class ScoredPair:
    """What the rules of stage 11 look at."""

    pair_id: str
    video_id: str
    kind: str
    prompt: str
    chosen: str
    rejected: str
    scores: Scores | None  # None: a build without weights


Rule = Callable[[Sequence[ScoredPair], ScoreFilterConfig], dict[str, str]]
"""(pairs, thresholds) -> pair_id -> what is wrong with it, of those that break the rule."""


def margin_of(kind: str, scores: Scores | None) -> float | None:
    """log p of the chosen side less that of the rejected one, nats; the sides of kind `view` are one text on two views."""
    if scores is None:
        return None
    if kind != VIEW_KIND:
        return scores.margin
    perturbed = scores.logp_chosen_perturbed
    return None if perturbed is None else scores.logp_chosen - perturbed


def false_rejections(pairs: Sequence[ScoredPair], config: ScoreFilterConfig) -> dict[str, str]:
    broken: dict[str, str] = {}
    for pair in pairs:
        if pair.scores is None:
            continue
        measured = (
            ("divergence", pair.scores.divergence, config.min_divergence),
            ("first_token_kl", pair.scores.first_token_kl, config.min_first_token_kl),
        )
        for name, value, least in measured:
            if value is not None and least is not None and value < least:
                broken.setdefault(pair.pair_id, f"{name} {value:.4g} is below {least:g}")
    return broken


def margins_out_of_bounds(pairs: Sequence[ScoredPair], config: ScoreFilterConfig) -> dict[str, str]:
    broken: dict[str, str] = {}
    for pair in pairs:
        margin = margin_of(pair.kind, pair.scores)
        if margin is not None and config.min_margin is not None and margin < config.min_margin:
            broken[pair.pair_id] = f"margin {margin:.4g} is below {config.min_margin:g}"
        elif margin is not None and config.max_margin is not None and margin > config.max_margin:
            broken[pair.pair_id] = f"margin {margin:.4g} is above {config.max_margin:g}"
    return broken


def high_ches(pairs: Sequence[ScoredPair], config: ScoreFilterConfig) -> dict[str, str]:
    """Pairs of kind `view` have one text on both sides, and so no CHES that means anything."""
    ranked = sorted(
        (
            (pair.scores.ches, pair.pair_id)
            for pair in pairs
            if pair.scores is not None and pair.scores.ches is not None and pair.kind != VIEW_KIND
        ),
        reverse=True,
    )
    top = ranked[: int(config.drop_top_ches * len(ranked))]
    broken = {pair_id: f"ches {ches:.4g} is among the top {config.drop_top_ches:g} of {len(ranked)}" for ches, pair_id in top}
    if config.max_ches is not None:
        broken |= {pair_id: f"ches {ches:.4g} is above {config.max_ches:g}" for ches, pair_id in ranked if ches > config.max_ches}
    return broken
