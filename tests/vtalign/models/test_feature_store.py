"""Kept vision features change no number, and are the same whatever batch a view is first met in."""

from collections.abc import Callable

import torch

from vtalign.models.feature_store import FeatureStore
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import VideoView


def _rows(views: list[VideoView]) -> list[Row]:
    return [Row(Prompt((view, "what happens first ?")), ("a red square .", "a blue circle .")) for view in views]


def test_log_probs_and_gradients_stay(
    make_lm: Callable[..., VideoLM], make_view: Callable[..., VideoView], source: FrameSource
) -> None:
    lm = make_lm()
    lm.model.model.visual.requires_grad_(False)
    batch = build_batch(lm.parts, _rows([make_view("video-a", 4), make_view("video-b", 2), make_view("video-a", 4)]), source)
    results = []
    for filled in (batch, FeatureStore().fill(lm.model, batch)):
        lm.model.zero_grad()
        logps, _ = branch_logps(lm.model, filled)
        logps.sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in lm.model.parameters() if p.grad is not None])
        results.append((logps.detach(), gradient))
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-5, rtol=0)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-4, rtol=1e-3)


def test_a_view_is_encoded_once_and_never_by_its_company(
    make_lm: Callable[..., VideoLM], make_view: Callable[..., VideoView], source: FrameSource
) -> None:
    lm = make_lm()
    lm.model.model.visual.requires_grad_(False)
    encoded: list[int] = []
    lm.model.model.visual.register_forward_pre_hook(lambda module, inputs: encoded.append(len(inputs[0])))
    a, b, c = make_view("video-a", 4), make_view("video-b", 2), make_view("video-c", 4)
    one, other = FeatureStore(), FeatureStore()
    first = [one.fill(lm.model, build_batch(lm.parts, _rows(views), source)) for views in ([a, b], [c, b])]
    assert len(encoded) == 3
    second = other.fill(lm.model, build_batch(lm.parts, _rows([c, b]), source))
    assert torch.equal(branch_logps(lm.model, first[1])[0], branch_logps(lm.model, second)[0])


def test_without_room_nothing_is_kept(
    make_lm: Callable[..., VideoLM], make_view: Callable[..., VideoView], source: FrameSource
) -> None:
    lm = make_lm()
    lm.model.model.visual.requires_grad_(False)
    batch = build_batch(lm.parts, _rows([make_view("video-a", 4)]), source)
    small = FeatureStore(room_mb=0)
    kept, expected = small.fill(lm.model, batch), FeatureStore().fill(lm.model, batch)
    assert torch.equal(branch_logps(lm.model, kept)[0], branch_logps(lm.model, expected)[0])
    assert not small._held


def test_an_encoder_that_trains_is_left_alone(
    make_lm: Callable[..., VideoLM], make_view: Callable[..., VideoView], source: FrameSource
) -> None:
    lm = make_lm()
    batch = build_batch(lm.parts, _rows([make_view("video-a", 4)]), source)
    assert FeatureStore().fill(lm.model, batch) is batch
