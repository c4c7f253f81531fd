"""Every family through the one interface: shared rows, features, generation, saving, adapters."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vtalign.models.attention import calls
from vtalign.models.families import FAMILIES
from vtalign.models.feature_store import FeatureStore
from vtalign.models.load import load_video_lm
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Request, Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.training.config import SFTStage
from vtalign.training.trainable import part_of, prepare_trainable

from .family_checkpoints import BUILDERS, SIDE
from .plain_transformers import (
    ONE,
    TWO,
    LoadLM,
    MakeView,
    by_generate,
    largest_error,
    separate_logps,
    varied_rows,
)


def test_every_family_is_tested() -> None:
    assert set(BUILDERS) == set(FAMILIES)


@torch.no_grad()
def test_shared_rows_give_what_separate_sequences_give(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    rows = varied_rows(make_view)
    reference = [logps for row in rows for logps in separate_logps(lm, row, frames)]
    assert min(float(logps.min()) for logps in reference) < -8  # far from uniform: the weights say something
    batch = build_batch(lm.parts, rows, frames)
    assert len(batch.input_ids) < len(rows) < sum(batch.branches)
    assert largest_error(branch_logps(lm.model, batch), reference) < 1e-5
    for row, expected in zip(rows, [separate_logps(lm, row, frames) for row in rows], strict=True):
        assert largest_error(branch_logps(lm.model, build_batch(lm.parts, [row], frames)), expected) < 1e-5
    separate = build_batch(replace(lm.parts, shares_rows=False, tree_attention=False), rows, frames)
    assert len(separate.input_ids) == sum(separate.branches)
    assert largest_error(branch_logps(lm.model, separate), reference) < 1e-5


@torch.no_grad()
def test_a_wrong_mask_or_wrong_positions_would_be_seen(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    row = Row(Prompt((make_view("video-a", 4), "describe the video .")), (ONE, TWO))
    batch, before = build_batch(lm.parts, [row], frames), calls["shared"]
    right, mask = branch_logps(lm.model, batch)
    assert calls["shared"] > before
    tail, length = batch.attention_mask.shape[2:]
    causal = torch.ones(length, length, dtype=torch.bool).tril()[-tail:][None, None]
    going_on = batch.position_ids.clone()
    going_on[..., -tail:] = going_on[..., -tail - 1 : -tail] + 1 + torch.arange(tail)
    for wrong in (replace(batch, attention_mask=causal), replace(batch, position_ids=going_on)):
        assert (branch_logps(lm.model, wrong)[0] - right)[mask].abs().max() > 0.1


@torch.no_grad()
def test_no_logits_for_the_prompt(family: str, load: LoadLM, frames: FrameSource, make_view: MakeView) -> None:
    lm = load(family)
    batch = build_batch(lm.parts, varied_rows(make_view), frames)
    projected: list[int] = []
    handle = lm.model.lm_head.register_forward_hook(lambda module, inputs, logits: projected.append(logits[..., 0].numel()))
    branch_logps(lm.model, batch)
    handle.remove()
    assert projected == [int(batch.keep.sum())] and projected[0] < batch.input_ids.numel() / 2


def test_gradients_of_shared_rows_are_those_of_separate_sequences(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    rows = varied_rows(make_view)
    weights = torch.linspace(1.0, -0.5, sum(len(row.responses) for row in rows))

    def gradients(sums: torch.Tensor) -> dict[str, torch.Tensor]:
        lm.model.zero_grad()
        (sums * weights).sum().backward()
        return {name: p.grad.clone() for name, p in lm.model.named_parameters() if p.grad is not None}

    shared = gradients(branch_logps(lm.model, build_batch(lm.parts, rows, frames))[0].sum(-1))
    separate = gradients(torch.stack([logps.sum() for row in rows for logps in separate_logps(lm, row, frames)]))
    lm.model.zero_grad()
    assert shared.keys() == separate.keys() and any(name.startswith(lm.parts.family.encoder) for name in shared)
    # A parameter without influence (keys' biases before a softmax) has rounding noise for a gradient, on both sides.
    noise = 1e-6 * max(float(gradient.norm()) for gradient in separate.values())
    for name, gradient in separate.items():
        assert (shared[name] - gradient).norm() < max(1e-5 * float(gradient.norm()), noise), name


def test_features_given_are_features_made(family: str, load: LoadLM, frames: FrameSource, make_view: MakeView) -> None:
    lm = load(family)
    encoder = lm.model.get_submodule(lm.parts.family.encoder)
    runs: list[None] = []
    # in one row each, so that the shared view is shown several times
    batch = build_batch(replace(lm.parts, shares_rows=False, tree_attention=False), varied_rows(make_view), frames)
    assert batch.visual is not None and batch.visual.repeats
    trained = [parameter for parameter in lm.model.parameters() if parameter.requires_grad]
    with_pixels, _ = branch_logps(lm.model, batch)
    assert with_pixels.requires_grad
    try:
        lm.model.requires_grad_(False)
        lm.model.lm_head.requires_grad_(True)
        handle = encoder.register_forward_pre_hook(lambda *_: runs.append(None))
        without_gradient, _ = branch_logps(lm.model, batch)
        assert len(runs) == 1  # what the views show, together
        store = FeatureStore()
        filled = store.fill(lm.model, batch)
        known = len(runs)
        assert known == 1 + len(batch.visual.views)
        again = store.fill(lm.model, batch)
        with_store, _ = branch_logps(lm.model, filled)
        repeated, _ = branch_logps(lm.model, again)
        assert len(runs) == known
        handle.remove()
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
    for other in (without_gradient, with_store, repeated):
        torch.testing.assert_close(other, with_pixels, atol=1e-5, rtol=0)


@torch.no_grad()
def test_greedy_generation_is_that_of_generate(family: str, load: LoadLM, frames: FrameSource, make_view: MakeView) -> None:
    lm = load(family)
    requests = [Request(row.prompt, max_new_tokens=4 + 2 * n) for n, row in enumerate(varied_rows(make_view))]
    expected = [by_generate(lm, request, frames) for request in requests]
    assert lm.generate(requests, frames) == expected
    assert lm.generate(requests, frames, batch_size=2) == expected
    assert len(set(expected)) > 3


@torch.no_grad()
def test_a_text_model_with_a_sliding_window_runs_unshared(
    checkpoints: Callable[[str], Path], make_source: Callable[..., FrameSource], make_view: MakeView, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoints("llava_onevision"), tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())
    layers = ["full_attention", "sliding_attention"]
    config["text_config"].update(use_sliding_window=True, sliding_window=8, max_window_layers=1, layer_types=layers)
    (folder / "config.json").write_text(json.dumps(config))
    lm, frames, rows = load_video_lm(folder, device="cpu"), make_source(SIDE, SIDE), varied_rows(make_view)
    assert not lm.parts.shares_rows
    reference = [logps for row in rows for logps in separate_logps(lm, row, frames)]
    assert largest_error(branch_logps(lm.model, build_batch(lm.parts, rows, frames)), reference) < 1e-5
    requests = [Request(row.prompt, max_new_tokens=8) for row in rows]
    assert lm.generate(requests, frames) == [by_generate(lm, request, frames) for request in requests]


@torch.no_grad()
def test_a_response_is_what_the_whole_template_has_there(family: str, load: LoadLM, frames: FrameSource) -> None:
    lm = load(family)
    for text in (ONE, "", "9 . 5 seconds", "new\nline"):
        batch = build_batch(lm.parts, [Row(Prompt(("what ?",)), (text,))], frames)
        messages = [
            {"role": "user", "content": [{"type": "text", "text": "what ?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": text}]},
        ]
        whole = lm.tokenizer(lm.processor.apply_chat_template(messages, tokenize=False))["input_ids"]
        ours = batch.input_ids[0].tolist()
        if family == "llava_next_video":  # its template leaves the end of a turn to the tokenizer
            assert ours.pop() == lm.tokenizer.eos_token_id
        if family == "llava_onevision":  # its template writes one space more before a response than it ends a prompt with
            assert lm.tokenizer.decode(whole).replace("assistant \n", "assistant\n") == lm.tokenizer.decode(ours)
        else:
            assert whole[: len(ours)] == ours


@torch.no_grad()
def test_saved_and_loaded_is_the_same_model(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView, tmp_path: Path
) -> None:
    lm = load(family)
    lm.save(tmp_path)
    again = load_video_lm(tmp_path, device="cpu", positions="library")
    assert again.policy == lm.policy and again.fingerprint == lm.fingerprint
    row = Row(Prompt((make_view(), "what ?")), (ONE, "x"))
    for one, other in zip(lm.score([row], frames)[0], again.score([row], frames)[0], strict=True):
        np.testing.assert_array_equal(one.token_logps, other.token_logps)


@torch.no_grad()
def test_bfloat16(family: str, checkpoints: Callable[[str], Path], frames: FrameSource, make_view: MakeView) -> None:
    lm = load_video_lm(checkpoints(family), device="cpu", dtype="bfloat16")
    rows = varied_rows(make_view)
    assert all(np.isfinite(score.token_logps).all() for scores in lm.score(rows, frames) for score in scores)
    assert len(lm.generate([Request(row.prompt, 3) for row in rows], frames)) == len(rows)


@torch.no_grad()
def test_an_adapter_is_on_the_language_model_alone(
    family: str, checkpoints: Callable[[str], Path], frames: FrameSource, make_view: MakeView
) -> None:
    lm = load_video_lm(checkpoints(family), device="cpu")
    parts = {name: part_of(name, lm.parts.family) for name, _ in lm.model.named_parameters()}
    assert set(parts.values()) == {"vision", "projector", "language_model"}
    assert all((parts[name] == "language_model") == name.startswith(lm.parts.family.language_model) for name in parts)
    rows = varied_rows(make_view)
    base, _ = branch_logps(lm.model, build_batch(lm.parts, rows, frames))
    settings = {"kind": "sft", "name": "s", "data": "x", "learning_rate": 1e-5, "lora": {"r": 2, "alpha": 2}}
    model = prepare_trainable(lm, SFTStage.model_validate(settings), checkpointing=False)
    adapted = {name.removeprefix("base_model.model.") for name, p in model.named_parameters() if p.requires_grad}
    assert adapted and all(part_of(name, lm.parts.family) == "language_model" and "lora" in name for name in adapted)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.normal_(0, 0.1)
    batch = build_batch(lm.parts, rows, frames)
    batch = FeatureStore().fill(model, batch)
    assert batch.visual is not None and batch.visual.features is not None
    assert float((branch_logps(model, batch)[0] - base).abs().max()) > 0.1
    with model.disable_adapter():
        torch.testing.assert_close(branch_logps(model, batch)[0], base, atol=1e-5, rtol=0)
