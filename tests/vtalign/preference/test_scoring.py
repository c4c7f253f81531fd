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
        if before.perturbed_view is None:
            assert after.scores.logp_chosen_perturbed is None
        else:
            ((other,),) = model.score([Row(video_prompt(perturbed, before.prompt), (before.chosen,))], Noise())
            assert after.scores.logp_chosen_perturbed == pytest.approx(other.total, abs=1e-4)


def test_rows_are_shared_by_groups(model, make_pair, make_view) -> None:
    perturbed = make_view([1, 0])
    pairs = [replace(make_pair(rejected=text), perturbed_view=perturbed) for text in ("b then a", "a")]
    rows = []
    score_pairs(model, pairs, Noise(), on_done=rows.append)
    assert sum(rows) == count_rows(pairs) == 2
