"""Tree attention against the dense mask, on random trees: the same numbers and gradients, with and without blocks."""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vtalign.models.attention import calls, tree_attention
from vtalign.models.layout import tree_mask
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Row
from vtalign.models.rows import RowBatch, branch_logps, build_batch
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import VideoView

MakeView = Callable[..., VideoView]
LENGTHS = {1: (40,), 3: (300, 1, 280), 12: (30, 270, 5, 5, 200, 90, 1, 1, 60, 260, 3, 7)}  # words of each of K responses


class Layer(nn.Module):
    """What an attention function needs to know of its layer: four query heads, two key heads."""

    num_key_value_groups = 2
    is_causal = True


def random_row(rng: random.Random, prefix: int, subtrees: int, length: int) -> tuple[np.ndarray, list[int]]:
    """A dense mask (L, L) of a prefix, subtrees (a stem and up to three branches each) and padding; where the subtrees start."""
    nodes, parents, starts = [0] * prefix, [-1], []
    for _ in range(subtrees):
        starts.append(len(nodes))
        parents.append(0)
        stem = len(parents) - 1
        nodes += [stem] * rng.randint(1, 5)
        for _ in range(rng.randint(0, 3)):
            parents.append(stem)
            nodes += [len(parents) - 1] * rng.randint(1, 9)
    mask = np.eye(length, dtype=bool)
    mask[: len(nodes), : len(nodes)] = tree_mask(np.array(nodes, np.int64), parents)
    return mask, [*starts, len(nodes)]


def attend(mask: torch.Tensor, inputs: list[torch.Tensor], **kwargs: object) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Output, and the gradients of its weighted sum."""
    leaves = [side.clone().requires_grad_() for side in inputs]
    output, _ = tree_attention(Layer(), *leaves, mask, scaling=0.3, dropout=0.0, **kwargs)
    weights = torch.linspace(-1, 1, output.numel()).reshape(output.shape)
    return output.detach(), list(torch.autograd.grad((output * weights).sum(), leaves))


@pytest.mark.parametrize("seed", range(12))
def test_tail_masks_and_blocks_equal_the_dense_mask(seed: int) -> None:
    rng = random.Random(seed)
    prefix, subtrees = rng.choice((0, 1, 2, 17)), rng.choice((0, 1, 2, 6))
    length = prefix + subtrees * 40 + 1
    dense, starts = random_row(rng, prefix, subtrees, length)
    mask = torch.from_numpy(dense)[None, None]
    generator = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(1, heads, length, 8, generator=generator, dtype=torch.float64) for heads in (4, 2, 2)]
    expected, gradients = attend(mask, inputs)
    for start in sorted({max(prefix, 0), prefix // 2, 0}):
        tail = mask[:, :, start:]
        for blocks in ((), (*starts, length)) if start == prefix else ((),):
            output, ours = attend(tail, inputs, tail_blocks=blocks)
            torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)
            for mine, theirs in zip(ours, gradients, strict=True):
                torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=0)


def test_rows_whose_prefixes_differ_share_the_shortest() -> None:
    rng = random.Random(0)
    length = 120
    drawn = [random_row(rng, prefix, 2, length) for prefix in (9, 30)]
    mask = torch.from_numpy(np.stack([dense for dense, _ in drawn]))[:, None]
    inputs = [torch.randn(2, heads, length, 8, dtype=torch.float64) for heads in (4, 2, 2)]
    expected, gradients = attend(mask, inputs)
    output, ours = attend(mask[:, :, 9:], inputs)
    torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)
    for mine, theirs in zip(ours, gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=0)


def test_without_a_tail_it_is_sdpa() -> None:
    inputs = [torch.randn(1, heads, 7, 8, dtype=torch.float64) for heads in (4, 2, 2)]
    before = calls["plain"], calls["shared"]
    output, _ = tree_attention(Layer(), *inputs, None)
    assert (calls["plain"], calls["shared"]) == (before[0] + 1, before[1])
    expected = nn.functional.scaled_dot_product_attention(*inputs, is_causal=True, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)


def test_a_tail_cannot_continue_a_cache() -> None:
    query, key = torch.randn(1, 4, 5, 8), torch.randn(1, 2, 9, 8)
    with pytest.raises(ValueError, match="as many keys"):
        tree_attention(Layer(), query, key, key, torch.ones(1, 1, 2, 9, dtype=torch.bool))


def long_rows(make_view: MakeView, branches: int) -> list[Row]:
    words = ["red", "blue", "square", "circle", "moves", "grows", "left", "first"]
    draw = random.Random(branches)
    responses = tuple(" ".join(draw.choices(words, k=size)) for size in LENGTHS[branches])
    return [Row(Prompt((make_view("video-a", 6), "describe the video .")), responses)]


def dense(lm: VideoLM, rows: list[Row], source: FrameSource) -> RowBatch:
    """The oracle: the same rows with the mask of all L positions."""
    return build_batch(replace(lm.parts, tree_attention=False), rows, source)


def gradients(lm: VideoLM, batch: RowBatch) -> dict[str, torch.Tensor]:
    lm.model.zero_grad(set_to_none=True)
    logps, mask = branch_logps(lm.model, batch)
    signs = torch.linspace(1, -1, len(logps))[:, None] if len(logps) > 1 else 1.0
    ((logps * signs).sum() / mask.sum()).backward()
    return {name: p.grad.clone() for name, p in lm.model.named_parameters() if p.grad is not None}


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert (ours[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-9, name


@pytest.mark.parametrize("branches", LENGTHS)
def test_a_model_gives_what_the_dense_mask_gives(lm: VideoLM, source: FrameSource, make_view: MakeView, branches: int) -> None:
    rows = long_rows(make_view, branches)
    before = calls.copy()
    batch = build_batch(lm.parts, rows, source)
    ours, (logps, mask) = gradients(lm, batch), branch_logps(lm.model, batch)
    layers = lm.model.config.get_text_config().num_hidden_layers
    assert calls["shared"] - before["shared"] == 2 * layers
    assert calls["blocks"] - before["blocks"] == (2 * layers if branches > 1 else 0)
    oracle = dense(lm, rows, source)
    assert oracle.attention_mask.shape[2] == oracle.input_ids.shape[1] > batch.attention_mask.shape[2]
    expected, _ = branch_logps(lm.model, oracle)
    assert mask.any() and (logps - expected).abs().max() < 1e-5
    assert_close(ours, gradients(lm, oracle))


def test_blocks_that_cut_a_branch_would_be_seen(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    batch = build_batch(lm.parts, long_rows(make_view, 3), source)
    first, *_, last = batch.tail_blocks
    wrong = replace(batch, tail_blocks=(first, first + 100, last))
    with torch.no_grad():
        assert (branch_logps(lm.model, wrong)[0] - branch_logps(lm.model, batch)[0]).abs().max() > 0.1


def test_gradient_checkpointing_changes_nothing(
    make_lm: Callable[..., VideoLM], source: FrameSource, make_view: MakeView
) -> None:
    lm = make_lm()
    batch = build_batch(lm.parts, long_rows(make_view, 3), source)
    expected = gradients(lm, batch)
    lm.model.train()
    lm.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    before = calls["blocks"]
    assert_close(gradients(lm, batch), expected)
    assert calls["blocks"] - before == 2 * lm.model.config.get_text_config().num_hidden_layers  # forward, and again in backward


def test_an_adapter_on_and_off(make_lm: Callable[..., VideoLM], source: FrameSource, make_view: MakeView) -> None:
    from peft import LoraConfig, get_peft_model

    lm = make_lm()
    rows = long_rows(make_view, 3)
    batch = build_batch(lm.parts, rows, source)
    with torch.no_grad():
        base, _ = branch_logps(lm.model, batch)
    model = get_peft_model(lm.model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    adapted = VideoLM(model.eval(), lm.processor, lm.policy)
    with torch.no_grad():
        logps, _ = branch_logps(model, build_batch(adapted.parts, rows, source))
        oracle, _ = branch_logps(model, dense(adapted, rows, source))
        with model.disable_adapter():
            off, _ = branch_logps(model, batch)
    assert (logps - oracle).abs().max() < 1e-5 and (off - base).abs().max() < 1e-5
    assert (logps - base).abs().max() > 0.1


def test_bfloat16_is_as_near_to_float32_as_the_dense_mask_is(
    make_lm: Callable[..., VideoLM], source: FrameSource, make_view: MakeView
) -> None:
    lm = make_lm(scale=0.1)
    rows = long_rows(make_view, 3)
    with torch.no_grad():
        exact, mask = branch_logps(lm.model, build_batch(lm.parts, rows, source))
        lm.model.to(torch.bfloat16)
        ours, theirs = (
            branch_logps(lm.model, batch)[0] for batch in (build_batch(lm.parts, rows, source), dense(lm, rows, source))
        )
    errors = [float((logps - exact)[mask].abs().mean()) for logps in (ours, theirs)]
    assert errors[0] < 2 * errors[1] < 0.2
