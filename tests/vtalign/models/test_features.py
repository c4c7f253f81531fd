"""A view that is shown several times is encoded once, and that changes no number."""

from collections.abc import Callable
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from vtalign.models.features import transformers_model
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import VideoView


def _rows(view: VideoView, other: VideoView) -> list[Row]:
    questions = ("what happens first ?", "describe the video .", "what ?")
    return [
        Row(Prompt((shown, question)), ("a red square .", "a blue circle .")) for question in questions for shown in (view, other)
    ]


class _PatchCount:
    """Counts the patches that reach the vision encoder."""

    def __init__(self, model: Any) -> None:
        self.patches = 0
        model.model.visual.register_forward_pre_hook(self._count)

    def _count(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.patches += len(inputs[0])


def test_repeated_views_are_preprocessed_and_encoded_once(
    make_lm: Callable[..., VideoLM], make_view: Callable[..., VideoView], source: FrameSource
) -> None:
    lm = make_lm()
    rows = _rows(make_view("video-a", 4), make_view("video-b", 2))
    with torch.no_grad():
        alone = [branch_logps(lm.model, build_batch(lm.parts, [row], source))[0] for row in rows]
    source.asked.clear()  # type: ignore[attr-defined]
    batch = build_batch(lm.parts, rows, source)
    assert len(source.asked) == 2  # type: ignore[attr-defined]
    count = _PatchCount(lm.model)
    with torch.no_grad():
        together, mask = branch_logps(lm.model, batch)
    assert batch.visual is not None and count.patches == sum(map(len, batch.visual.inputs["pixel_values_videos"]))
    expected = torch.cat([logps.flatten() for logps in alone])
    torch.testing.assert_close(together[mask], expected[expected != 0], atol=1e-5, rtol=0)


def test_a_training_encoder_gets_its_gradient_a_frozen_one_runs_once(
    make_lm: Callable[..., VideoLM], make_view: Callable[..., VideoView], source: FrameSource
) -> None:
    lm = make_lm()
    batch = build_batch(lm.parts, _rows(make_view("video-a", 4), make_view("video-b", 2)), source)
    plain, _ = branch_logps(lm.model, batch)
    plain.sum().backward()
    text = {n: p.grad.clone() for n, p in lm.model.named_parameters() if p.grad is not None and "visual" not in n}
    assert lm.model.model.visual.patch_embed.proj.weight.grad is not None
    lm.model.zero_grad()
    lm.model.model.visual.requires_grad_(False)
    count = _PatchCount(lm.model)
    once, _ = branch_logps(lm.model, batch)
    once.sum().backward()
    assert batch.visual is not None and count.patches == sum(map(len, batch.visual.inputs["pixel_values_videos"]))
    torch.testing.assert_close(once, plain, atol=1e-5, rtol=0)
    for name, gradient in text.items():
        torch.testing.assert_close(dict(lm.model.named_parameters())[name].grad, gradient, atol=1e-4, rtol=1e-4)


def test_under_a_lora_adapter(make_lm: Callable[..., VideoLM], make_view: Callable[..., VideoView], source: FrameSource) -> None:
    lm = make_lm()
    batch = build_batch(lm.parts, _rows(make_view("video-a", 4), make_view("video-b", 2)), source)
    with torch.no_grad():
        base, _ = branch_logps(lm.model, batch)
    torch.manual_seed(1)
    lora = LoraConfig(r=4, target_modules=r".*language_model.*(q_proj|v_proj)", init_lora_weights=False)
    adapted = get_peft_model(lm.model, lora)
    assert transformers_model(adapted) is lm.model
    policy, _ = branch_logps(adapted, batch)
    assert policy.requires_grad and (policy - base).abs().max() > 1e-3
    with torch.no_grad(), adapted.disable_adapter():
        reference, _ = branch_logps(adapted, batch)
    torch.testing.assert_close(reference, base, atol=1e-6, rtol=0)
