"""The invariant of the project: a shared row gives what separate rows give, log-probs and gradients."""

import logging
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from vtalign.errors import InputError
from vtalign.models.families import has_full_attention_only
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Row
from vtalign.models.rows import RowBatch, branch_logps, build_batch, row_logits
from vtalign.models.video_lm import VideoLM, model_parts
from vtalign.video.view import VideoView

Reference = Callable[[VideoLM, Row, FrameSource], list[torch.Tensor]]
MakeView = Callable[..., VideoView]

RESPONSES = (
    "a red square moves left , then a blue circle grows .",
    "",  # the end of turn alone: a branch of one token
    "a blue circle grows .",
    "what happens first ?",
    "x",
    "a red square moves left , then a blue circle grows . then a red circle grows",
)


def _batch_of_everything(make_view: MakeView) -> list[Row]:
    """Rows of different length and branch count; no view, one view (also of an odd number of frames), two views."""
    a, b, odd = make_view("video-a", 4), make_view("video-b", 2), make_view("video-c", 5)
    return [
        Row(Prompt((a, "describe the video .")), RESPONSES[:3]),
        Row(Prompt(("what happens first ?",)), RESPONSES[1:3]),
        Row(Prompt((odd, "what happens first ? a red square moves left")), RESPONSES[:1]),
        Row(Prompt(("a", b, "then", a, "what happens ?")), RESPONSES[3:]),
        Row(Prompt((a.with_contents([3, 2, 1, 0]), "describe the video .")), RESPONSES),
    ]


def _flat(reference: list[list[torch.Tensor]]) -> list[torch.Tensor]:
    return [logps for row in reference for logps in row]


@torch.no_grad()
def _largest_error(lm: VideoLM, batch: RowBatch, reference: list[torch.Tensor]) -> float:
    logps, mask = branch_logps(lm.model, batch)
    assert [int(real.sum()) for real in mask] == [len(expected) for expected in reference]
    return max(float((row[real] - expected).abs().max()) for row, real, expected in zip(logps, mask, reference, strict=True))


@torch.no_grad()
def test_a_padded_batch_of_shared_rows_equals_plain_transformers(
    lm: VideoLM, source: FrameSource, make_view: MakeView, reference_logps: Reference
) -> None:
    rows = _batch_of_everything(make_view)
    reference = _flat([reference_logps(lm, row, source) for row in rows])
    assert max(float(logps.min()) for logps in reference) < -1  # the weights say something
    assert _largest_error(lm, build_batch(lm.parts, rows, source), reference) < 1e-5


@pytest.mark.parametrize("branches", range(1, 7))
@torch.no_grad()
def test_any_number_of_branches(
    lm: VideoLM, source: FrameSource, make_view: MakeView, reference_logps: Reference, branches: int
) -> None:
    row = Row(Prompt((make_view(), "describe the video .")), RESPONSES[:branches])
    assert _largest_error(lm, build_batch(lm.parts, [row], source), reference_logps(lm, row, source)) < 1e-5


@torch.no_grad()
def test_a_plain_causal_mask_would_be_seen(
    lm: VideoLM, source: FrameSource, make_view: MakeView, reference_logps: Reference
) -> None:
    row = Row(Prompt((make_view(), "describe the video .")), (RESPONSES[0], RESPONSES[2]))
    batch = build_batch(lm.parts, [row], source)
    length = batch.input_ids.shape[1]
    causal = replace(batch, attention_mask=torch.ones(length, length, dtype=torch.bool).tril()[None, None])
    assert _largest_error(lm, causal, reference_logps(lm, row, source)) > 0.1


@torch.no_grad()
def test_positions_that_do_not_restart_would_be_seen(
    lm: VideoLM, source: FrameSource, make_view: MakeView, reference_logps: Reference
) -> None:
    row = Row(Prompt((make_view(), "describe the video .")), (RESPONSES[0], RESPONSES[2]))
    batch = build_batch(lm.parts, [row], source)
    prompt = batch.input_ids.shape[1] - int(batch.target_mask.sum())
    going_on = batch.position_ids.clone()
    going_on[:, 0, prompt:] = going_on[:, 0, prompt - 1 : prompt] + 1 + torch.arange(going_on.shape[2] - prompt)
    assert _largest_error(lm, replace(batch, position_ids=going_on), reference_logps(lm, row, source)) > 0.1


@pytest.mark.parametrize("forks", [True, False])
def test_gradients_equal_those_of_separate_rows(
    forks: bool, make_lm: Callable[..., VideoLM], source: FrameSource, make_view: MakeView, reference_logps: Reference
) -> None:
    """Without forks no row has a mask, and the short ones are padded."""
    lm = make_lm()
    responses = ("a blue circle grows .", "x", "")
    plain = [Row(Prompt((make_view(f"video-{n}", 2 * n), "what ?")), (responses[n - 1],)) for n in (1, 2, 3)]
    rows = _batch_of_everything(make_view) if forks else plain
    assert bool(build_batch(lm.parts, rows, source).attention_mask.shape[2]) is forks
    weights = torch.linspace(1.0, -0.5, sum(len(row.responses) for row in rows))

    def gradients(sums: torch.Tensor) -> dict[str, torch.Tensor]:
        lm.model.zero_grad()
        (sums * weights).sum().backward()
        return {name: p.grad.clone() for name, p in lm.model.named_parameters() if p.grad is not None}

    shared = gradients(branch_logps(lm.model, build_batch(lm.parts, rows, source))[0].sum(-1))
    separate = gradients(torch.stack([x.sum() for x in _flat([reference_logps(lm, row, source) for row in rows])]))
    assert shared.keys() == separate.keys() and any("visual" in name for name in shared)
    # A parameter without influence (keys' biases before a softmax) has rounding noise for a gradient: measure it at the largest.
    scale = max(float(gradient.norm()) for gradient in separate.values())
    worst = max(float((shared[n] - g).norm() / max(float(g.norm()), 1e-4 * scale)) for n, g in separate.items())
    assert worst < 1e-5


@torch.no_grad()
def test_row_logits_are_the_distributions_behind_branch_logps(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    batch = build_batch(lm.parts, _batch_of_everything(make_view), source)
    logits = row_logits(lm.model, batch)[batch.kept_index]
    logps, mask = branch_logps(lm.model, batch)
    picked = logits.log_softmax(-1).gather(-1, batch.targets[..., None])[..., 0]
    torch.testing.assert_close(picked[mask], logps[mask], atol=1e-5, rtol=0)
    assert (logps[~mask] == 0).all()


@torch.no_grad()
def test_no_logits_for_the_prompt(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    rows = _batch_of_everything(make_view)
    batch = build_batch(lm.parts, rows, source)
    tokens = int(batch.target_mask.sum())
    branches = sum(batch.branches)
    # one at the prompt's end per row, then every branch token but the last of each
    assert int(batch.keep.sum()) == len(rows) + tokens - branches


@torch.no_grad()
def test_order_and_batch_composition_do_not_matter(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    rows = _batch_of_everything(make_view)
    calls: list[int] = []
    together = lm.score(rows, source, batch_size=len(rows), on_done=calls.append)
    alone = lm.score(rows[::-1], source, batch_size=1)[::-1]
    assert sum(calls) == len(rows) and len(calls) < len(rows)
    for row, one, other in zip(rows, together, alone, strict=True):
        assert len(one) == len(other) == len(row.responses)
        for a, b in zip(one, other, strict=True):
            assert a.token_logps.dtype == np.float32 and a.count == len(b.token_logps)
            np.testing.assert_allclose(a.token_logps, b.token_logps, atol=1e-5)
            assert a.total == pytest.approx(float(a.token_logps.sum()), abs=1e-4)


@torch.no_grad()
def test_separate_rows_where_sharing_would_be_wrong(
    lm: VideoLM, source: FrameSource, make_view: MakeView, caplog: pytest.LogCaptureFixture
) -> None:
    rows = _batch_of_everything(make_view)
    separate = build_batch(replace(lm.parts, shares_rows=False), rows, source)
    assert len(separate.input_ids) == sum(separate.branches) == sum(len(row.responses) for row in rows)
    shared, mask = branch_logps(lm.model, build_batch(lm.parts, rows, source))
    torch.testing.assert_close(branch_logps(lm.model, separate)[0][mask], shared[mask], atol=1e-5, rtol=0)
    config = type(lm.model.config).from_dict(lm.model.config.to_dict())
    config.text_config.layer_types = ["full_attention", "linear_attention"]
    with caplog.at_level(logging.WARNING):
        parts = model_parts(config, lm.processor, lm.policy, "hybrid")
    assert not parts.shares_rows and len(caplog.records) == 1


def test_which_text_models_may_share() -> None:
    class Text:
        def __init__(self, **fields: object) -> None:
            vars(self).update(fields)

    assert has_full_attention_only(Text())
    assert has_full_attention_only(Text(layer_types=["full_attention"] * 2))
    assert has_full_attention_only(Text(sliding_window=4096, use_sliding_window=False))
    assert not has_full_attention_only(Text(layer_types=["full_attention", "sliding_attention"]))
    assert not has_full_attention_only(Text(sliding_window=4096))


def test_parts_travel_to_collator_workers(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    rows = _batch_of_everything(make_view)
    there = build_batch(pickle.loads(pickle.dumps(lm.parts)), rows, source)
    here = pickle.loads(pickle.dumps(build_batch(lm.parts, rows, source))).to("cpu")
    for name, value in vars(here).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(there, name))


def test_rows_that_cannot_be_built(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    prompt = Prompt((make_view(), "describe the video ."))
    with pytest.raises(InputError, match="needs rows"):
        build_batch(lm.parts, [], source)
    with pytest.raises(InputError, match="at least one response"):
        build_batch(lm.parts, [Row(prompt, ())], source)
    with pytest.raises(InputError, match="positions"):
        build_batch(replace(lm.parts, max_positions=60), [Row(prompt, ("a red square " * 20,))], source)
