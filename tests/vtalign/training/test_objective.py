import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from vtalign.models.rows import RowBatch, branch_logps, row_logits
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import video_prompt
from vtalign.training.collator import coalesce, pair_batch, sft_batch
from vtalign.training.config import PreferenceStage, Stage
from vtalign.training.data import PairExample, SFTExample, in_lists
from vtalign.training.live_reference import LiveReference
from vtalign.training.objective import PreferenceObjective, SFTObjective, StepTotals
from vtalign.video.frames import FrameStore

STAGES: TypeAdapter[Stage] = TypeAdapter(Stage)
VIEWS = {"kind": "vdpo", "beta": 0.1, "anchor": 0.5}
PHRASES = {"kind": "rrpo", "beta": 0.1, "alpha": 0.02}
KINDS: dict[str, dict[str, Any]] = {
    "sigmoid": {"sft_weight": 0.5, "label_smoothing": 0.1},
    **{loss: {"loss": loss, "beta": 0.5} for loss in ("hinge", "ipo", "sigmoid_norm", "simpo", "plackett_luce")},
    "robust": {"loss": "robust", "label_smoothing": 0.1},
    "ld": {"ld_alpha": 0.4},
    "vdpo": VIEWS,
    "rrpo": {**PHRASES, "sft_weight": 0.2},
    "all at once": {"also": [{**VIEWS, "weight": 0.5}, {**PHRASES, "weight": 2.0}]},
}


def stage(**settings: Any) -> PreferenceStage:
    made = STAGES.validate_python({"kind": "dpo", "name": "dpo", "data": "x", "learning_rate": 1e-5, **settings})
    assert isinstance(made, PreferenceStage)
    return made


def complete(examples: Sequence[PairExample], settings: PreferenceStage) -> list[PairExample]:
    """`examples` with all that the stage reads: a second view (the first one backwards), and phrases (a few letters of each side)."""
    made = []
    for example in examples:
        (view,) = example.views
        backwards = video_prompt(view.with_contents(list(range(len(view)))[::-1]), example.pair.prompt)
        second = backwards if settings.compares_views else None
        rejected = example.rejected if settings.compares_responses else None
        phrases = {"chosen_phrases": ((0, 3),), "rejected_phrases": ((2, 9),)} if settings.reads_phrases else {}
        made.append(replace(example, second=second, rejected=rejected, **phrases))
    return made


def moved(lm: VideoLM) -> LiveReference:
    """The reference of `lm` as it was; its language model has changed since."""
    lm.model.requires_grad_(False)
    lm.model.model.language_model.requires_grad_(True)
    reference = LiveReference(lm.model)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in lm.model.model.language_model.parameters():
            parameter += 0.1 * parameter.std() * torch.randn_like(parameter)
    return reference


def step(
    lm: VideoLM,
    store: FrameStore,
    cuts: Sequence[Sequence[PairExample]],
    settings: PreferenceStage,
    live: LiveReference | None = None,
) -> tuple[float, torch.Tensor, dict[str, float]]:
    """(loss, gradient of the language model, metrics) of one optimiser step whose micro-batches are `cuts`."""
    batches = [pair_batch(lm.parts, cut, store) for cut in cuts]
    totals = StepTotals(sum(batch.count for batch in batches), sum(batch.tokens for batch in batches))
    objective = PreferenceObjective(settings, live)
    lm.model.zero_grad()
    loss, sums = 0.0, {}
    for batch in batches:
        assert batch.rows is not None
        share = objective(lm.model, batch, batch.rows, totals)
        share.loss.backward()
        loss += share.loss.item()
        for name, value in share.sums.items():
            sums[name] = sums.get(name, 0.0) + float(value)
    gradient = torch.cat([p.grad.flatten() for p in lm.model.model.language_model.parameters() if p.grad is not None])
    return loss, gradient, objective.metrics(sums)


@pytest.mark.parametrize("kind", KINDS)
def test_grouping_does_not_change_the_loss(lm: VideoLM, store: FrameStore, examples: list[PairExample], kind: str) -> None:
    settings = stage(**KINDS[kind])
    pairs = complete(examples[:6], settings)
    if settings.listwise:
        pairs = in_lists(pairs)
        assert len(pairs[0].pairs) == len(pairs[1].pairs) == 3
    live = moved(lm) if settings.reads_distributions else None
    one = step(lm, store, [pairs], settings, live)
    apart = [step(lm, store, [[pair] for pair in pairs], settings, live)]
    if not settings.listwise:
        apart.append(step(lm, store, [[pairs[0], pairs[4]], [pairs[5], pairs[1], pairs[3], pairs[2]]], settings, live))
    for loss, gradient, metrics in apart:
        assert loss == pytest.approx(one[0], rel=1e-5)
        assert (gradient - one[1]).norm() < 1e-4 * one[1].norm()
        for name in metrics.keys() - {"mean_group_size"}:
            rel = 1e-2 if name.startswith("length/") else 1e-4  # a ratio of small differences
            assert metrics[name] == pytest.approx(one[2][name], rel=rel, abs=1e-5), name
    if not settings.listwise:
        assert apart[0][2]["mean_group_size"] == 1 < one[2]["mean_group_size"]


def test_dpo_is_the_formula_on_scores(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    pairs = examples[:3]
    rows, sides = coalesce(pairs)
    scores = [score for row in lm.score(rows, store) for score in row]
    beta, weight = 0.2, 0.3
    expected = nll = tokens = 0.0
    for pair, c, r in zip(pairs, sides["chosen"], sides["rejected"], strict=True):
        assert pair.reference is not None
        margin = (scores[c].total - pair.reference["chosen"].sum()) - (scores[r].total - pair.reference["rejected"].sum())
        expected += math.log1p(math.exp(-beta * margin)) / 3
        nll -= scores[c].total
        tokens += scores[c].count
    loss, _, metrics = step(lm, store, [pairs], stage(beta=beta, sft_weight=weight))
    assert loss == pytest.approx(expected + weight * nll / tokens, rel=1e-5)
    assert metrics["loss/dpo"] == pytest.approx(expected, rel=1e-5)
    assert metrics["sft_loss"] == pytest.approx(nll / tokens, rel=1e-5)
    assert metrics["logps/chosen"] == pytest.approx(sum(scores[c].total for c in sides["chosen"]) / 3, rel=1e-5)
    assert metrics["rewards/margins"] == pytest.approx(metrics["rewards/chosen"] - metrics["rewards/rejected"], abs=1e-4)


def _distributions(lm: VideoLM, rows: RowBatch) -> torch.Tensor:
    """Log-probs (N, T, V) of the whole vocabulary."""
    return row_logits(lm.model, rows)[rows.kept_index].log_softmax(-1)


def test_rrpo_is_the_formula_on_distributions(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    settings = stage(**PHRASES)
    pairs = complete(examples[:4], settings)
    batch = pair_batch(lm.parts, pairs, store)
    assert batch.rows is not None
    with torch.no_grad():
        before = _distributions(lm, batch.rows)
        live = moved(lm)
        after = _distributions(lm, batch.rows)
    expected, kls = 0.0, []
    for number in range(4):
        margins = []
        for side in ("chosen", "rejected"):
            branch = int(batch.sides[side][number])
            inside = batch.phrases[side][number]
            ids = batch.rows.targets[branch]
            difference = (after - before)[branch].gather(-1, ids[:, None])[:, 0]
            margins.append(float(difference[inside].sum()))
            if side == "chosen":
                real = batch.rows.target_mask[branch]
                kls.append(float((before[branch].exp() * (before - after)[branch]).sum(-1)[real].sum()))
        expected += (math.log1p(math.exp(-0.1 * (margins[0] - margins[1]))) + 0.02 * kls[-1]) / 4
    loss, _, metrics = step(lm, store, [pairs], settings, live)
    assert min(kls) > 0.1
    assert loss == pytest.approx(expected, rel=1e-4) and metrics["kl/chosen"] == pytest.approx(sum(kls) / 4, rel=1e-4)


def test_vdpo_compares_one_response_on_two_views(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    settings = stage(kind="vdpo", beta=0.3, anchor=0.25)
    pairs = complete([examples[0], examples[-1]], settings)
    rows, sides = coalesce(pairs)
    scores = [score.total for row in lm.score(rows, store) for score in row]
    expected = 0.0
    for pair, c, p in zip(pairs, sides["chosen"], sides["perturbed"], strict=True):
        assert pair.reference is not None
        clean = 0.3 * (scores[c] - float(pair.reference["chosen"].sum()))
        other = 0.3 * (scores[p] - float(pair.reference["perturbed"].sum()))
        expected += (math.log1p(math.exp(other - clean)) + 0.25 * math.log1p(math.exp(-clean))) / 2
    loss, gradient, metrics = step(lm, store, [pairs], settings)
    assert loss == pytest.approx(expected, rel=1e-4) and gradient.norm() > 0
    assert metrics["logps/rejected"] == pytest.approx(sum(scores[p] for p in sides["perturbed"]) / 2, rel=1e-4)


def test_every_further_term_adds_to_the_gradient(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    live = moved(lm)
    kinds: list[dict[str, Any]] = [{}, {"sft_weight": 1.0}, {"also": [VIEWS]}, {"also": [PHRASES]}]
    found = [step(lm, store, [complete(examples[:2], made)], made, live)[1] for made in (stage(**kind) for kind in kinds)]
    assert found[0].norm() > 0
    for other in found[1:]:
        assert (other - found[0]).norm() > 1e-3 * found[0].norm()


def test_a_policy_that_did_not_move_has_no_margin_and_no_kl(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    settings = stage(**PHRASES)
    lm.model.requires_grad_(False)
    lm.model.model.language_model.requires_grad_(True)
    loss, _, metrics = step(lm, store, [complete(examples[:4], settings)], settings, LiveReference(lm.model))
    assert loss == pytest.approx(math.log(2), abs=1e-6)
    assert metrics["rewards/margins"] == 0 and metrics["kl/chosen"] == pytest.approx(0, abs=1e-6)


def test_length_metrics_are_a_regression(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    pairs = [replace(e, chosen=e.chosen + " then it stops ." * n) for n, e in enumerate(examples[:5])]
    rows, sides = coalesce(pairs)
    scores = [score for row in lm.score(rows, store) for score in row]
    pairs = [
        replace(
            e, reference={side: scores[int(b[n])].token_logps - (0.5 if side == "chosen" else 0.0) for side, b in sides.items()}
        )
        for n, e in enumerate(pairs)
    ]
    longer = torch.tensor([float(scores[c].count - scores[r].count) for c, r in zip(*sides.values(), strict=True)])
    margins = torch.tensor([0.5 * scores[c].count for c in sides["chosen"]])
    slope = torch.cov(torch.stack([longer, margins]))[0, 1] / longer.var()
    metrics = step(lm, store, [pairs[:2], pairs[2:]], stage())[2]
    assert metrics["length/slope"] == pytest.approx(float(slope), rel=1e-3)
    explained = float(torch.corrcoef(torch.stack([longer, margins]))[0, 1] ** 2)
    assert metrics["length/explained"] == pytest.approx(explained, rel=1e-3)


def test_sft_is_the_token_mean_of_the_step(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    rows = [SFTExample(e.id, e.prompt, e.chosen) for e in examples[:4]]
    batches = [sft_batch(lm.parts, part, store) for part in (rows[:1], rows[1:])]
    totals = StepTotals(4, sum(batch.tokens for batch in batches))
    loss = sum(SFTObjective()(lm.model, b, b.rows, totals).loss.item() for b in batches if b.rows is not None)
    whole = sft_batch(lm.parts, rows, store)
    assert whole.rows is not None
    logps, mask = branch_logps(lm.model, whole.rows)
    assert loss == pytest.approx(-(logps.sum() / mask.sum()).item(), rel=1e-5)
