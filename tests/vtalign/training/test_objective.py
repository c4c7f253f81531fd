import math
from typing import Any

import pytest
import torch

from vtalign.models.rows import branch_logps
from vtalign.models.video_lm import VideoLM
from vtalign.training.collator import coalesce, pair_batch, sft_batch
from vtalign.training.config import DPOStage
from vtalign.training.data import PairExample, SFTExample
from vtalign.training.objective import StepTotals, dpo_metrics, dpo_share, sft_share
from vtalign.video.frames import FrameStore


def stage(**settings: Any) -> DPOStage:
    return DPOStage.model_validate({"kind": "dpo", "name": "dpo", "data": "x", "learning_rate": 1e-5, **settings})


def step(
    lm: VideoLM, store: FrameStore, cuts: list[list[PairExample]], settings: DPOStage
) -> tuple[float, torch.Tensor, dict[str, float]]:
    """(loss, gradient of the language model, metrics) of one optimiser step whose micro-batches are `cuts`."""
    batches = [pair_batch(lm.parts, cut, store) for cut in cuts]
    totals = StepTotals(sum(batch.count for batch in batches), sum(batch.tokens for batch in batches))
    lm.model.zero_grad()
    loss, sums = 0.0, {}
    for batch in batches:
        assert batch.rows is not None
        share, parts = dpo_share(*branch_logps(lm.model, batch.rows), batch, totals, settings)
        share.backward()
        loss += share.item()
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value)
    gradient = torch.cat([p.grad.flatten() for p in lm.model.model.language_model.parameters() if p.grad is not None])
    return loss, gradient, dpo_metrics(sums)


def test_grouping_does_not_change_the_loss(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    pairs = examples[:6]
    settings = stage(beta=0.1, sft_weight=0.5, label_smoothing=0.1)
    rows, _, _ = coalesce(pairs)
    assert len(rows) < len(pairs)
    one = step(lm, store, [pairs], settings)
    other = step(lm, store, [[pair] for pair in pairs], settings)
    mixed = step(lm, store, [[pairs[0], pairs[4]], [pairs[5], pairs[1], pairs[3], pairs[2]]], settings)
    for loss, gradient, metrics in (other, mixed):
        assert loss == pytest.approx(one[0], rel=1e-5)
        assert (gradient - one[1]).norm() < 1e-4 * one[1].norm()
        for name in metrics.keys() - {"mean_group_size"}:
            assert metrics[name] == pytest.approx(one[2][name], rel=1e-4), name
    assert other[2]["mean_group_size"] == 1 < one[2]["mean_group_size"]


def test_the_loss_is_the_formula_on_scores(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    pairs = examples[:3]
    rows, chosen, rejected = coalesce(pairs)
    scores = [score for row in lm.score(rows, store) for score in row]
    beta, weight = 0.2, 0.3
    expected = nll = tokens = 0.0
    for pair, c, r in zip(pairs, chosen, rejected, strict=True):
        assert pair.reference is not None
        margin = beta * ((scores[c].total - pair.reference[0]) - (scores[r].total - pair.reference[1]))
        expected += math.log1p(math.exp(-margin)) / 3
        nll -= scores[c].total
        tokens += scores[c].count
    loss, _, metrics = step(lm, store, [pairs], stage(beta=beta, sft_weight=weight))
    assert loss == pytest.approx(expected + weight * nll / tokens, rel=1e-5)
    assert metrics["dpo_loss"] == pytest.approx(expected, rel=1e-5)
    assert metrics["sft_loss"] == pytest.approx(nll / tokens, rel=1e-5)
    assert metrics["logps/chosen"] == pytest.approx(sum(scores[c].total for c in chosen) / 3, rel=1e-5)
    assert metrics["rewards/margins"] == pytest.approx(metrics["rewards/chosen"] - metrics["rewards/rejected"], abs=1e-4)


def test_every_term_has_a_gradient(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    alone = step(lm, store, [examples[:2]], stage())[1]
    both = step(lm, store, [examples[:2]], stage(sft_weight=1.0))[1]
    assert alone.norm() > 0 and (both - alone).norm() > 0


def test_sft_is_the_token_mean_of_the_step(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    rows = [SFTExample(e.id, e.prompt, e.rejected) for e in examples[:4]]
    batches = [sft_batch(lm.parts, part, store) for part in (rows[:1], rows[1:])]
    totals = StepTotals(4, sum(batch.tokens for batch in batches))
    loss = sum(sft_share(*branch_logps(lm.model, b.rows), b, totals)[0].item() for b in batches if b.rows is not None)
    whole = sft_batch(lm.parts, rows, store)
    assert whole.rows is not None
    logps, mask = branch_logps(lm.model, whole.rows)
    assert loss == pytest.approx(-(logps.sum() / mask.sum()).item(), rel=1e-5)
