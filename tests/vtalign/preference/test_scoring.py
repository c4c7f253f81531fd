from dataclasses import replace

import numpy as np
import pytest

from vtalign.models.load import load_video_lm
from vtalign.models.requests import Row
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import video_prompt
from vtalign.preference.scoring import count_rows, score_pairs
from vtalign.video.view import VideoView


class Noise:
    """Frames that differ by index."""

    def frames(self, view: VideoView) -> np.ndarray:
        return np.stack([np.random.default_rng(slot.frame or 0).integers(0, 255, (48, 48, 3), np.uint8) for slot in view.slots])


@pytest.fixture(scope="module")
def model(tiny_checkpoint) -> VideoLM:
    return load_video_lm(tiny_checkpoint)


def test_scores_are_those_of_separate_rows(model, make_pair, make_view) -> None:
    perturbed = make_view([1, 0])
    pairs = [replace(make_pair(rejected=text), perturbed_view=perturbed) for text in ("b then a", "a", "c then b then a")]
    pairs.append(make_pair(prompt="Why?"))
    scored = score_pairs(model, pairs, Noise(), batch_size=4)
    assert [pair.pair_id for pair in scored] == [pair.pair_id for pair in pairs]
    for before, after in zip(pairs, scored, strict=True):
        ((chosen,),) = model.score([Row(before.clean_prompt, (before.chosen,))], Noise())
        ((rejected,),) = model.score([Row(before.clean_prompt, (before.rejected,))], Noise())
        assert after.scores.logp_chosen == pytest.approx(chosen.total, abs=1e-4)
        assert after.scores.logp_rejected == pytest.approx(rejected.total, abs=1e-4)
        assert (after.scores.tokens_chosen, after.scores.tokens_rejected) == (chosen.count, rejected.count)
        assert after.scores.margin == pytest.approx(chosen.total - rejected.total, abs=1e-4)
        assert after.fingerprint == model.fingerprint
        np.testing.assert_allclose(after.token_logps.chosen, chosen.token_logps, atol=1e-5)
        np.testing.assert_allclose(after.token_logps.rejected, rejected.token_logps, atol=1e-5)
        if before.perturbed_view is None:
            assert after.scores.logp_chosen_perturbed is None
            assert after.scores.divergence is None and after.scores.first_token_kl is None
        else:
            ((other,),) = model.score([Row(video_prompt(perturbed, before.prompt), (before.chosen,))], Noise())
            assert after.scores.logp_chosen_perturbed == pytest.approx(other.total, abs=1e-4)


def test_rows_are_shared_by_groups(model, make_pair, make_view) -> None:
    perturbed = make_view([1, 0])
    pairs = [replace(make_pair(rejected=text), perturbed_view=perturbed) for text in ("b then a", "a")]
    rows = []
    score_pairs(model, pairs, Noise(), on_done=rows.append)
    assert sum(rows) == count_rows(pairs) == 2


def test_divergence_and_ches_follow_their_definitions(model, make_pair, make_view) -> None:
    views = make_view([1, 0]), make_view([1])
    pairs = [replace(make_pair(rejected=text), perturbed_view=view) for text in ("b", "then a") for view in views]
    pairs = [replace(pair, pair_id=f"pair-{number}") for number, pair in enumerate(pairs)]
    scored = score_pairs(model, pairs, Noise(), batch_size=2)
    for before, after in zip(pairs, scored, strict=True):
        text = before.prompt
        clean = Row(before.clean_prompt, (before.chosen, before.rejected))
        (plus, minus), (moved,) = model.score(
            [clean, Row(video_prompt(before.perturbed_view, text), (before.chosen,))], Noise(), against={1: 0}
        )
        assert after.scores.divergence == pytest.approx(moved.divergence, abs=1e-5) and moved.divergence > 0
        assert after.scores.first_token_kl == pytest.approx(moved.first_token_kl, abs=1e-5)
        mean_product = minus.hidden_product / plus.count / minus.count
        assert after.scores.ches == pytest.approx(mean_product - plus.hidden_product / plus.count**2, abs=1e-4)


def test_a_view_that_nothing_was_done_to_does_not_diverge(model, make_pair) -> None:
    pair = make_pair()
    (scored,) = score_pairs(model, [replace(pair, perturbed_view=pair.view)], Noise())
    scores = scored.scores
    assert scores.divergence == pytest.approx(0, abs=1e-6) and scores.first_token_kl == pytest.approx(0, abs=1e-6)
    assert scores.logp_chosen_perturbed == pytest.approx(scores.logp_chosen, abs=1e-4)
