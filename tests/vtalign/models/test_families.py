"""Every family through the one interface: inputs, shared rows, features, generation, saving, adapters.

The reference is plain transformers: the processor on a whole conversation, one sequence at a time, positions of the model itself
(or, as trained, those of a few lines below that follow the original code).
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vtalign.models.attention import calls
from vtalign.models.encode import encode_prompts
from vtalign.models.families import FAMILIES
from vtalign.models.feature_store import FeatureStore
from vtalign.models.features import visual_kwargs
from vtalign.models.load import load_video_lm
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Request, Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.video_lm import VideoLM
from vtalign.training.config import SFTStage
from vtalign.training.trainable import part_of, prepare_trainable
from vtalign.video.view import VideoView

from .family_checkpoints import BUILDERS, SIDE

MakeView = Callable[..., VideoView]
LoadLM = Callable[..., VideoLM]

ONE, TWO = "a red square moves left .", "a blue circle grows ."
LONG = "a red square moves left , then a blue circle grows . " * 4
TWELVE = ("", "x", ONE, TWO, LONG, "what ?", "y", TWO + TWO, ONE, "left", "then", "a")


def test_every_family_is_tested() -> None:
    assert set(BUILDERS) == set(FAMILIES)


def _rows(make_view: MakeView) -> list[Row]:
    """K = 1, 3, 12; branches of one token, equal and very unequal; views of 2, 3 and 4 frames, one that stands still; no view."""
    a, still = make_view("video-a", 4), make_view("video-b", 4).with_contents([0, 0, 1, 1])
    return [
        Row(Prompt((a, "describe the video .")), (ONE,)),
        Row(Prompt((a, "what happens first ?")), (ONE, ONE, "")),
        Row(Prompt((make_view("video-c", 3, 1.0), "what ?")), TWELVE),
        Row(Prompt(("what happens ?",)), (ONE, TWO)),
        Row(Prompt(("first", a, "then", still, "what happens first ?")), (LONG, "x")),
        Row(Prompt((make_view("video-d", 2), "describe the video .")), (TWO,)),
    ]


def _inputs(lm: VideoLM, prompt: Prompt, source: FrameSource, response: str | None = None) -> dict[str, Any]:
    """What the processor makes of a conversation, up to the generation prompt or with a response and its end."""
    content = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "video"} for part in prompt.parts]
    turn = [{"role": "user", "content": content}]
    text = lm.processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    if response is not None:
        template = lm.parts.template
        text += template.lead + response + lm.tokenizer.convert_ids_to_tokens(template.end_of_turn)
    visual: dict[str, Any] = {}
    if prompt.views:
        clocks = [
            {
                "total_num_frames": len(view),
                "fps": view.fps,
                "duration": len(view) / view.fps,
                "frames_indices": list(range(len(view))),
            }
            for view in prompt.views
        ]
        videos = [source.frames(view) for view in prompt.views]
        visual = {"videos": videos, "video_metadata": clocks, "do_resize": False, "do_sample_frames": False}
        visual |= lm.parts.family.video_options
    made = lm.processor(text=[text], return_tensors="pt", **visual)
    return {name: value for name, value in made.items() if name not in ("token_type_ids", "video_metadata")}


def _reference(lm: VideoLM, row: Row, source: FrameSource) -> list[torch.Tensor]:
    """Log-probs of a row's responses, each as a sequence of its own."""
    start = _inputs(lm, row.prompt, source)["input_ids"].shape[1]
    found = []
    for response in row.responses:
        inputs = _inputs(lm, row.prompt, source, response)
        ids = inputs["input_ids"][0]
        logits = lm.model(**inputs, use_cache=False).logits[0].float().log_softmax(-1)
        found.append(logits[torch.arange(start - 1, len(ids) - 1), ids[start:]])
    return found


def _largest_error(logps_and_mask: tuple[torch.Tensor, torch.Tensor], reference: list[torch.Tensor]) -> float:
    logps, mask = logps_and_mask
    assert [int(real.sum()) for real in mask] == [len(expected) for expected in reference]
    return max(float((row[real] - expected).abs().max()) for row, real, expected in zip(logps, mask, reference, strict=True))


def test_inputs_are_the_processors_and_positions_the_models(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    views = [make_view("video-a", 4), make_view("video-b", 4).with_contents([0, 0, 1, 1]), make_view("video-a", 4)]
    prompt = Prompt(("first", views[0], "then", views[1], "again", views[2], "what happens first ?"))
    batch = build_batch(lm.parts, [Row(prompt, ("",))], frames)
    expected = _inputs(lm, prompt, frames, "")
    ids = expected["input_ids"][0]
    assert batch.input_ids[0].tolist() == ids.tolist()
    assert batch.visual is not None and len(batch.visual.views) == 2
    with torch.enable_grad():
        given = visual_kwargs(lm.model, batch.visual)  # pixels: the encoder trains
    for name, tensor in given.items():
        torch.testing.assert_close(tensor, expected[name].reshape(tensor.shape), rtol=0, atol=0)
    if len(batch.position_ids) == 3:
        known = {name: expected[name] for name in ("video_grid_thw", "second_per_grid_ts") if name in expected}
        positions, _ = lm.model.model.get_rope_index(expected["input_ids"], expected["mm_token_type_ids"], **known)
        assert batch.position_ids.tolist() == positions.tolist()
    else:
        assert batch.position_ids.tolist() == [[list(range(len(ids)))]]


@torch.no_grad()
def test_shared_rows_give_what_separate_sequences_give(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    rows = _rows(make_view)
    reference = [logps for row in rows for logps in _reference(lm, row, frames)]
    assert min(float(logps.min()) for logps in reference) < -8  # far from uniform: the weights say something
    batch = build_batch(lm.parts, rows, frames)
    assert len(batch.input_ids) < len(rows) < sum(batch.branches)
    assert _largest_error(branch_logps(lm.model, batch), reference) < 1e-5
    for row, expected in zip(rows, [_reference(lm, row, frames) for row in rows], strict=True):
        assert _largest_error(branch_logps(lm.model, build_batch(lm.parts, [row], frames)), expected) < 1e-5
    separate = build_batch(replace(lm.parts, shares_rows=False, tree_attention=False), rows, frames)
    assert len(separate.input_ids) == sum(separate.branches)
    assert _largest_error(branch_logps(lm.model, separate), reference) < 1e-5


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
    batch = build_batch(lm.parts, _rows(make_view), frames)
    projected: list[int] = []
    handle = lm.model.lm_head.register_forward_hook(lambda module, inputs, logits: projected.append(logits[..., 0].numel()))
    branch_logps(lm.model, batch)
    handle.remove()
    assert projected == [int(batch.keep.sum())] and projected[0] < batch.input_ids.numel() / 2


def test_gradients_of_shared_rows_are_those_of_separate_sequences(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    rows = _rows(make_view)
    weights = torch.linspace(1.0, -0.5, sum(len(row.responses) for row in rows))

    def gradients(sums: torch.Tensor) -> dict[str, torch.Tensor]:
        lm.model.zero_grad()
        (sums * weights).sum().backward()
        return {name: p.grad.clone() for name, p in lm.model.named_parameters() if p.grad is not None}

    shared = gradients(branch_logps(lm.model, build_batch(lm.parts, rows, frames))[0].sum(-1))
    separate = gradients(torch.stack([logps.sum() for row in rows for logps in _reference(lm, row, frames)]))
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
    batch = build_batch(replace(lm.parts, shares_rows=False, tree_attention=False), _rows(make_view), frames)
    assert batch.visual is not None and batch.visual.repeats
    trained = [parameter for parameter in lm.model.parameters() if parameter.requires_grad]
    with_pixels, _ = branch_logps(lm.model, batch)
    assert with_pixels.requires_grad
    try:
        lm.model.requires_grad_(False)
        lm.model.lm_head.requires_grad_(True)
        handle = encoder.register_forward_pre_hook(lambda *_: runs.append(None))
        without_gradient, _ = branch_logps(lm.model, batch)
        assert len(runs) == len(batch.visual.alike)  # distinct views together, once, where they can be stacked
        store = FeatureStore()
        filled = store.fill(lm.model, batch)
        known = len(runs)
        assert known == len(batch.visual.alike) + len(batch.visual.views)
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
    requests = [Request(row.prompt, max_new_tokens=4 + 2 * n) for n, row in enumerate(_rows(make_view))]
    expected = [_by_generate(lm, request, frames) for request in requests]
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
    lm, frames, rows = load_video_lm(folder, device="cpu"), make_source(SIDE, SIDE), _rows(make_view)
    assert not lm.parts.shares_rows
    reference = [logps for row in rows for logps in _reference(lm, row, frames)]
    assert _largest_error(branch_logps(lm.model, build_batch(lm.parts, rows, frames)), reference) < 1e-5
    requests = [Request(row.prompt, max_new_tokens=8) for row in rows]
    assert lm.generate(requests, frames) == [_by_generate(lm, request, frames) for request in requests]


def _by_generate(lm: VideoLM, request: Request, source: FrameSource) -> str:
    inputs = _inputs(lm, request.prompt, source)
    ids = lm.model.generate(**inputs, max_new_tokens=request.max_new_tokens, do_sample=False)[0]
    words = [token for token in ids[inputs["input_ids"].shape[1] :].tolist() if token not in lm.parts.template.special_ids]
    return str(lm.tokenizer.decode(words, clean_up_tokenization_spaces=False)).strip()


@torch.no_grad()
def test_generation_at_trained_positions_is_that_of_a_loop_without_a_cache(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family, "trained")
    prompts = [row.prompt for row in _rows(make_view)]
    prompts.append(Prompt((make_view("video-e", 8, 0.25), "what ?")))  # its time reaches beyond its height and width
    for prompt, made in zip(prompts, lm.generations([Request(p, 6) for p in prompts], frames), strict=True):
        inputs = _inputs(lm, prompt, frames)
        ids, step = inputs.pop("input_ids"), _seconds(inputs) * 4 if "second_per_grid_ts" in inputs else 1.0
        given = {
            name: inputs[name] for name in inputs if name not in ("attention_mask", "mm_token_type_ids", "second_per_grid_ts")
        }
        prompt_length = ids.shape[1]
        for _ in range(6):
            positions = _original_positions(lm, ids[0].tolist(), given, step)
            logits = lm.model(input_ids=ids, position_ids=positions, use_cache=False, **given).logits[0, -1]
            ids = torch.cat([ids, logits.argmax().reshape(1, 1)], dim=1)
            if int(ids[0, -1]) in (lm.parts.template.end_of_turn, lm.tokenizer.eos_token_id):
                break
        words = [token for token in ids[0, prompt_length:].tolist() if token not in lm.parts.template.special_ids]
        assert made.text == lm.tokenizer.decode(words, clean_up_tokenization_spaces=False).strip()


def _seconds(inputs: dict[str, Any]) -> float:
    return float(torch.as_tensor(inputs["second_per_grid_ts"]).reshape(-1)[0])


def _original_positions(lm: VideoLM, ids: list[int], given: dict[str, Any], step: float) -> torch.Tensor:
    """Positions as the code that trained the Qwen families has them: whatever follows goes on at the largest position + 1."""
    if lm.parts.family.positions["trained"].__name__ == "counted":
        return torch.arange(len(ids))[None]
    per_frame = lm.parts.family.model_type.startswith("qwen3")
    grids = [[t, h // 2, w // 2] for t, h, w in given.get("video_grid_thw", torch.zeros(0, 3)).tolist()]
    grids = [[1, h, w] for t, h, w in grids for _ in range(int(t))] if per_frame else grids
    pieces: list[torch.Tensor] = []
    at = 0
    while at < len(ids):
        start = int(pieces[-1].max()) + 1 if pieces else 0
        if ids[at] != lm.parts.video_token_id or not grids:
            pieces.append(torch.full((3, 1), start))
            at += 1
            continue
        t, h, w = grids.pop(0)
        axes = torch.meshgrid((torch.arange(t) * step).long(), torch.arange(h), torch.arange(w), indexing="ij")
        pieces.append(torch.stack([axis.flatten() for axis in axes]) + start)
        at += t * h * w
    return torch.cat(pieces, dim=1)[:, None]


@torch.no_grad()
@pytest.mark.parametrize("positions", ["trained", "library"])
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl"])
def test_scores_at_either_positions(family: str, positions: str, load: LoadLM, frames: FrameSource, make_view: MakeView) -> None:
    row = Row(Prompt((make_view("video-e", 8, 0.25), "what happens first ?")), (ONE, TWO, "x"))
    lm, other = load(family, positions), load(family, "library" if positions == "trained" else "trained")
    batch = build_batch(lm.parts, [row], frames)
    reference = _reference(lm, row, frames)
    if positions == "trained":
        reference = []
        for response in row.responses:
            inputs = _inputs(lm, row.prompt, frames, response)
            ids = inputs["input_ids"]
            step = _seconds(inputs) * 4 if family == "qwen2_5_vl" else 1.0
            given = {name: inputs[name] for name in ("pixel_values_videos", "video_grid_thw")}
            at = _original_positions(lm, ids[0].tolist(), given, step)
            logits = lm.model(input_ids=ids, position_ids=at, use_cache=False, **given).logits[0].log_softmax(-1)
            start = _inputs(lm, row.prompt, frames)["input_ids"].shape[1]
            reference.append(logits[torch.arange(start - 1, ids.shape[1] - 1), ids[0, start:]])
    assert _largest_error(branch_logps(lm.model, batch), reference) < 1e-5
    assert _largest_error(branch_logps(lm.model, build_batch(other.parts, [row], frames)), reference) > 0.1
    assert lm.fingerprint != other.fingerprint


@torch.no_grad()
def test_the_clock_reaches_the_model_where_the_family_says_so(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    fast, slow = (
        encode_prompts(lm.parts, [Prompt((make_view("video-a", 4, fps), "what ?"))], frames)[0][0] for fps in (2.0, 0.25)
    )
    in_text = fast.ids.tolist() != slow.ids.tolist()
    in_positions = not in_text and fast.positions.tolist() != slow.positions.tolist()
    assert lm.parts.family.clock == ("text" if in_text else "positions" if in_positions else "none")


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
    rows = _rows(make_view)
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
    rows = _rows(make_view)
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
