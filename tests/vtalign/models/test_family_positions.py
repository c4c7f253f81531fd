"""Positions and clocks of every family: those of the model's own code, or those that it was trained with."""

import pytest
import torch

from vtalign.models.encode import encode_prompts
from vtalign.models.features import visual_kwargs
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Request, Row
from vtalign.models.rows import branch_logps, build_batch

from .plain_transformers import (
    ONE,
    TWO,
    LoadLM,
    MakeView,
    by_generate,
    largest_error,
    original_positions,
    processor_inputs,
    seconds_per_grid,
    separate_logps,
    varied_rows,
)


def test_inputs_are_the_processors_and_positions_the_models(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family)
    views = [make_view("video-a", 4), make_view("video-b", 4).with_contents([0, 0, 1, 1]), make_view("video-a", 4)]
    prompt = Prompt(("first", views[0], "then", views[1], "again", views[2], "what happens first ?"))
    batch = build_batch(lm.parts, [Row(prompt, ("",))], frames)
    expected = processor_inputs(lm, prompt, frames, "")
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
def test_generation_at_trained_positions_is_that_of_a_loop_without_a_cache(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    lm = load(family, "trained")
    prompts = [row.prompt for row in varied_rows(make_view)]
    prompts.append(Prompt((make_view("video-e", 8, 0.25), "what ?")))  # its time reaches beyond its height and width
    for prompt, made in zip(prompts, lm.generations([Request(p, 6) for p in prompts], frames), strict=True):
        inputs = processor_inputs(lm, prompt, frames)
        ids, step = inputs.pop("input_ids"), seconds_per_grid(inputs) * 4 if "second_per_grid_ts" in inputs else 1.0
        given = {
            name: inputs[name] for name in inputs if name not in ("attention_mask", "mm_token_type_ids", "second_per_grid_ts")
        }
        prompt_length = ids.shape[1]
        for _ in range(6):
            positions = original_positions(lm, ids[0].tolist(), given, step)
            logits = lm.model(input_ids=ids, position_ids=positions, use_cache=False, **given).logits[0, -1]
            ids = torch.cat([ids, logits.argmax().reshape(1, 1)], dim=1)
            if int(ids[0, -1]) in (lm.parts.template.end_of_turn, lm.tokenizer.eos_token_id):
                break
        words = [token for token in ids[0, prompt_length:].tolist() if token not in lm.parts.template.special_ids]
        assert made.text == lm.tokenizer.decode(words, clean_up_tokenization_spaces=False).strip()


@torch.no_grad()
@pytest.mark.parametrize("positions", ["trained", "library"])
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl"])
def test_scores_at_either_positions(family: str, positions: str, load: LoadLM, frames: FrameSource, make_view: MakeView) -> None:
    row = Row(Prompt((make_view("video-e", 8, 0.25), "what happens first ?")), (ONE, TWO, "x"))
    lm, other = load(family, positions), load(family, "library" if positions == "trained" else "trained")
    batch = build_batch(lm.parts, [row], frames)
    reference = separate_logps(lm, row, frames)
    if positions == "trained":
        reference = []
        for response in row.responses:
            inputs = processor_inputs(lm, row.prompt, frames, response)
            ids = inputs["input_ids"]
            step = seconds_per_grid(inputs) * 4 if family == "qwen2_5_vl" else 1.0
            given = {name: inputs[name] for name in ("pixel_values_videos", "video_grid_thw")}
            at = original_positions(lm, ids[0].tolist(), given, step)
            logits = lm.model(input_ids=ids, position_ids=at, use_cache=False, **given).logits[0].log_softmax(-1)
            start = processor_inputs(lm, row.prompt, frames)["input_ids"].shape[1]
            reference.append(logits[torch.arange(start - 1, ids.shape[1] - 1), ids[0, start:]])
    assert largest_error(branch_logps(lm.model, batch), reference) < 1e-5
    assert largest_error(branch_logps(lm.model, build_batch(other.parts, [row], frames)), reference) > 0.1
    assert lm.fingerprint != other.fingerprint


@torch.no_grad()
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl"])
def test_responses_at_the_librarys_positions_are_those_of_generate(
    family: str, load: LoadLM, frames: FrameSource, make_view: MakeView
) -> None:
    """The text behind these videos ends before they do."""
    lm = load(family, "library")
    prompts = [Prompt((make_view(f"video-{name}", 48, 0.5), words)) for name in "abcd" for words in ("what ?", "who", ".")]
    requests = [Request(prompt, max_new_tokens=8) for prompt in prompts]
    encoded = encode_prompts(lm.parts, prompts, frames)[0]
    assert all(prompt.positions.max() > prompt.positions[:, -1].max() for prompt in encoded)
    assert lm.generate(requests, frames) == [by_generate(lm, request, frames) for request in requests]


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
