"""Scores of preference pairs: all responses of a group in one row on the clean view, the chosen one on each perturbed view."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from vtalign.models.requests import FrameSource, ResponseScore, Row
from vtalign.models.video_lm import VideoLM
from vtalign.preference.ches import length_normalised_ches
from vtalign.preference.pair import PreferenceGroup, PreferencePair, Scores, TokenLogps, group_pairs, video_prompt
from vtalign.video.view import VideoView


def views_to_score(pairs: Iterable[PreferencePair]) -> list[VideoView]:
    """The views that `score_pairs` asks a frame source for, each once (to prefetch)."""
    views: dict[str, VideoView] = {}
    for pair in pairs:
        for view in (pair.view, pair.perturbed_view):
            if view is not None:
                views.setdefault(view.view_id, view)
    return list(views.values())


def score_pairs(
    model: VideoLM,
    pairs: Sequence[PreferencePair],
    source: FrameSource,
    *,
    batch_size: int = 16,
    on_done: Callable[[int], None] | None = None,
) -> list[PreferencePair]:
    """`pairs` in their order with `scores`, `token_logps` and `fingerprint` set by `model`.

    Every row is read once: responses of a group share its clean row, and divergences compare what the forwards gave anyway.
    Log-probs are summed over the tokens of the response and its end of turn, nats. `batch_size` counts rows; `on_done` is told
    of rows that are done out of `count_rows(pairs)`. Raises VideoError where a view cannot be read.
    """
    groups = group_pairs(pairs)
    rows: list[Row] = []
    against: dict[int, int] = {}
    for group in groups:
        clean = len(rows)
        rows += _rows(group)
        against |= {perturbed: clean for perturbed in range(clean + 1, len(rows))}
    answers = iter(model.score(rows, source, against=against, batch_size=batch_size, on_done=on_done))
    scored: dict[str, PreferencePair] = {}
    for group in groups:
        chosen, *rejected = next(answers)
        on_clean = dict(zip(_rejected(group), rejected, strict=True))
        on_perturbed = {view.view_id: next(answers)[0] for view in _perturbed(group)}
        for pair in group.pairs:
            moved = on_perturbed[pair.perturbed_view.view_id] if pair.perturbed_view is not None else None
            scores = _scores(chosen, on_clean[pair.rejected], moved)
            perturbed = _floats(moved) if moved is not None else None
            tokens = TokenLogps(_floats(chosen), _floats(on_clean[pair.rejected]), perturbed)
            scored[pair.pair_id] = replace(pair, scores=scores, token_logps=tokens, fingerprint=model.fingerprint)
    return [scored[pair.pair_id] for pair in pairs]


def count_rows(pairs: Sequence[PreferencePair]) -> int:
    """How many rows `score_pairs` sends through the model."""
    return sum(1 + len(_perturbed(group)) for group in group_pairs(pairs))


def _rows(group: PreferenceGroup) -> list[Row]:
    text = group.pairs[0].prompt
    clean = Row(group.prompt, (group.chosen, *_rejected(group)))
    return [clean, *(Row(video_prompt(view, text), (group.chosen,)) for view in _perturbed(group))]


def _rejected(group: PreferenceGroup) -> list[str]:
    """Distinct rejected responses: two perturbations that end in the same words are scored once."""
    return list(dict.fromkeys(pair.rejected for pair in group.pairs))


def _perturbed(group: PreferenceGroup) -> list[VideoView]:
    views = {pair.perturbed_view.view_id: pair.perturbed_view for pair in group.pairs if pair.perturbed_view is not None}
    return list(views.values())


def _scores(chosen: ResponseScore, rejected: ResponseScore, perturbed: ResponseScore | None) -> Scores:
    return Scores(
        logp_chosen=chosen.total,
        logp_rejected=rejected.total,
        tokens_chosen=chosen.count,
        tokens_rejected=rejected.count,
        logp_chosen_perturbed=perturbed.total if perturbed is not None else None,
        divergence=perturbed.divergence if perturbed is not None else None,
        first_token_kl=perturbed.first_token_kl if perturbed is not None else None,
        ches=length_normalised_ches(chosen.hidden_product, rejected.hidden_product, chosen.count, rejected.count),
    )


def _floats(score: ResponseScore) -> tuple[float, ...]:
    return tuple(score.token_logps.tolist())
