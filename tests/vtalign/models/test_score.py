"""Scores of rows against plain transformers: one full conversation for every response, nothing shared, definitions in float64."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from vtalign.errors import InputError
from vtalign.models.divergence import kullback_leibler
from vtalign.models.forward import unembedding
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, ResponseScore, Row
from vtalign.models.rows import _inputs, branch_logps, build_batch, kept_states
from vtalign.models.score import RowComparison, score_batch
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import VideoView

MakeView = Callable[..., VideoView]
Plain = Callable[..., Any]

QUESTIONS = ("describe the video .", "what happens first ?")
RESPONSES = ("a red square moves left , then a blue circle grows .", "", "a blue circle grows .")


def rows_and_comparisons(make_view: MakeView) -> tuple[list[Row], dict[int, int]]:
    """Two questions about each of two videos of unlike length, each row followed by its chosen response on perturbed views."""
    rows: list[Row] = []
    against: dict[int, int] = {}
    for video, frames in (("video-a", 4), ("video-b", 6)):
        view = make_view(video, frames)
        order = list(range(frames))
        for question in QUESTIONS:
            base = len(rows)
            rows.append(Row(Prompt((view, question)), RESPONSES))
            # the last one is longer than the view that it is compared with
            for contents in (order[::-1], [1, *order[1:]], order[:2]):
                rows.append(Row(Prompt((make_view(video, len(contents)).with_contents(contents), question)), RESPONSES[:1]))
                against[len(rows) - 1] = base
    return rows, against


@pytest.fixture
def scored(lm: VideoLM, source: FrameSource, make_view: MakeView) -> list[list[ResponseScore]]:
    rows, against = rows_and_comparisons(make_view)
    return lm.score(rows, source, against=against)


@pytest.fixture
def noise() -> list[torch.Tensor]:
    """Logits of three responses of 70 tokens, more than are compared at once."""
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(70, 20, generator=draw) * 3 for _ in range(3)]


def plain_jensen_shannon(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    p, q = one.double().log_softmax(-1), other.double().log_softmax(-1)
    m = ((p.exp() + q.exp()) / 2).log()
    return ((p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1)) / 2


@torch.no_grad()
def test_all_scores_equal_plain_transformers(
    lm: VideoLM, source: FrameSource, make_view: MakeView, plain_outputs: Plain, scored: list[list[ResponseScore]]
) -> None:
    rows, against = rows_and_comparisons(make_view)
    for index, (row, scores) in enumerate(zip(rows, scored, strict=True)):
        plain = [plain_outputs(lm, row.prompt, response, source) for response in row.responses]
        torch.testing.assert_close(lm.model.lm_head(plain[0].hidden).log_softmax(-1), plain[0].logps)
        sums = [outputs.hidden.double().sum(0) for outputs in plain]
        for score, outputs, total in zip(scores, plain, sums, strict=True):
            logps = outputs.logps[torch.arange(len(outputs.ids)), outputs.ids]
            np.testing.assert_allclose(score.token_logps, logps, atol=1e-5)
            # per token and hidden dimension, as the numbers that CHES is made of
            size = len(plain[0].ids) * len(outputs.ids) * len(total)
            assert score.hidden_product / size == pytest.approx(float(sums[0] @ total) / size, abs=1e-5)
        if index not in against:
            assert all(s.token_divergences is None and s.divergence is None and s.first_token_kl is None for s in scores)
            continue
        base = plain_outputs(lm, rows[against[index]].prompt, row.responses[0], source).logps
        expected = plain_jensen_shannon(base, plain[0].logps)
        assert float(expected.max()) > 0.01  # the views do differ
        np.testing.assert_allclose(scores[0].token_divergences, expected, atol=1e-5)
        assert scores[0].divergence == pytest.approx(float(expected.mean()), abs=1e-5)
        kl = (base[0].double().exp() * (base[0].double() - plain[0].logps[0].double())).sum()
        assert scores[0].first_token_kl == pytest.approx(float(kl), abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_and_padding_do_not_matter(
    lm: VideoLM, source: FrameSource, make_view: MakeView, scored: list[list[ResponseScore]], batch_size: int
) -> None:
    rows, against = rows_and_comparisons(make_view)
    for expected, found in zip(scored, lm.score(rows, source, against=against, batch_size=batch_size), strict=True):
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(one.token_logps, other.token_logps, atol=1e-5)
            assert one.hidden_product == pytest.approx(other.hidden_product, rel=1e-5, abs=1e-3)
            assert one.divergence == (None if other.divergence is None else pytest.approx(other.divergence, abs=1e-5))
            assert one.first_token_kl == (None if other.first_token_kl is None else pytest.approx(other.first_token_kl, abs=1e-5))


def test_the_same_view_does_not_diverge(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    row = Row(Prompt((make_view(), QUESTIONS[0])), RESPONSES[:1])
    for batch_size in (1, 2):
        _, (score,) = lm.score([row, row], source, against={1: 0}, batch_size=batch_size)
        assert score.divergence == pytest.approx(0, abs=1e-6) and score.first_token_kl == pytest.approx(0, abs=1e-6)


def test_separate_rows_score_alike(
    lm: VideoLM, source: FrameSource, make_view: MakeView, monkeypatch: pytest.MonkeyPatch, scored: list[list[ResponseScore]]
) -> None:
    rows, against = rows_and_comparisons(make_view)
    monkeypatch.setattr(lm, "parts", replace(lm.parts, shares_rows=False))
    for expected, found in zip(scored, lm.score(rows, source, against=against), strict=True):
        assert [s.hidden_product for s in found] == pytest.approx([s.hidden_product for s in expected], rel=1e-5, abs=1e-3)
        assert [s.total for s in found] == pytest.approx([s.total for s in expected], abs=1e-4)
        for one, other in zip(expected, found, strict=True):
            assert one.divergence == (None if other.divergence is None else pytest.approx(other.divergence, abs=1e-5))


@pytest.fixture
def forwards(lm: VideoLM) -> Iterator[list[int]]:
    """Hears of every forward of the model."""
    heard: list[int] = []
    handle = lm.model.register_forward_hook(lambda *_: heard.append(1))
    yield heard
    handle.remove()


def test_every_row_is_read_once(lm: VideoLM, source: FrameSource, make_view: MakeView, forwards: list[int]) -> None:
    rows, against = rows_and_comparisons(make_view)
    lm.score(rows, source, against=against, batch_size=5)
    assert len(forwards) == -(-len(rows) // 5)
    assert not lm.model.lm_head._forward_hooks and not lm.model.lm_head._forward_pre_hooks


def test_states_are_held_no_longer_than_needed(noise: list[torch.Tensor]) -> None:
    """Whichever side comes first waits for the other; the direction stays."""
    one, other, third = noise
    expected = kullback_leibler(one[:1], other[:1]).item()
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        comparison = RowComparison({1: 0, 2: 0}, torch.nn.Identity())
        for index in order:
            comparison.add([index, 3], [noise[index], third])
        assert not comparison._held and not comparison._awaited
        (score,) = comparison.score(1, [ResponseScore(np.zeros(70, np.float32), 0.0)])
        np.testing.assert_allclose(score.token_divergences, plain_jensen_shannon(one, other), atol=1e-6)
        assert score.first_token_kl == pytest.approx(expected)
        (alone,) = comparison.score(0, [ResponseScore(np.zeros(70, np.float32), 0.0)])
        assert alone.divergence is None


@torch.no_grad()
def test_states_are_those_behind_the_logits(
    make_lm: Callable[..., VideoLM], source: FrameSource, make_view: MakeView, plain_outputs: Plain
) -> None:
    """Also under an adapter on the unembedding itself, and where forward does not take `logits_to_keep`."""
    lm = make_lm()
    row = Row(Prompt((make_view(), QUESTIONS[0])), RESPONSES)
    adapted = get_peft_model(lm.model, LoraConfig(r=4, target_modules=["q_proj", "lm_head"], init_lora_weights=False)).eval()
    batch = build_batch(lm.parts, [row], source)
    logits, hidden = kept_states(adapted, batch)
    torch.testing.assert_close(adapted.get_output_embeddings()(hidden), logits)
    ((scores,), _) = score_batch(adapted, batch)
    logps, mask = branch_logps(adapted, batch)
    np.testing.assert_allclose(np.concatenate([score.token_logps for score in scores]), logps[mask], atol=1e-6)
    sums = [plain_outputs(lm, row.prompt, response, source).hidden.double().sum(0) for response in RESPONSES]
    assert [s.hidden_product for s in scores] == pytest.approx([float(sums[0] @ total) for total in sums], rel=1e-5, abs=1e-3)
    whole = replace(batch, family=replace(batch.family, slices_logits=False))
    torch.testing.assert_close(kept_states(adapted, whole), (logits, hidden))


def test_every_family(load: Callable[..., VideoLM], frames: FrameSource, make_view: MakeView, family: str) -> None:
    """Shared rows score as separate ones do, from the states that the model itself calls its last."""
    lm = load(family)
    view = make_view()
    moved = view.with_contents([3, 2, 1, 0])
    rows = [Row(Prompt((view, "what ?")), RESPONSES), Row(Prompt((moved, "what ?")), RESPONSES[:1])]
    shared = lm.score(rows, frames, against={1: 0})
    firsts, products = [], []
    for row in rows:
        states = []
        for response in row.responses:
            batch = build_batch(replace(lm.parts, shares_rows=False), [Row(row.prompt, (response,))], frames)
            with torch.no_grad():
                last = lm.model(**_inputs(lm.model, batch), output_hidden_states=True).hidden_states[-1]
                _, hidden = kept_states(lm.model, batch)
            torch.testing.assert_close(last[batch.keep], hidden)
            states.append(hidden[batch.kept_index[0]])
        firsts.append(unembedding(lm.model)(states[0]).detach())
        products.append([float(states[0].double().sum(0) @ other.double().sum(0)) for other in states])
    for scores, expected in zip(shared, products, strict=True):
        assert [score.hidden_product for score in scores] == pytest.approx(expected, rel=1e-5, abs=1e-2)
    np.testing.assert_allclose(shared[1][0].token_divergences, plain_jensen_shannon(*firsts), atol=1e-5)
    assert shared[1][0].divergence > 1e-3  # type: ignore[operator]


def test_half_precision_is_scored_in_float32(make_lm: Callable[..., VideoLM], source: FrameSource, make_view: MakeView) -> None:
    lm = make_lm()
    lm.model.to(torch.bfloat16)
    rows, against = rows_and_comparisons(make_view)
    scores = lm.score(rows, source, against=against)
    assert all(score.token_logps.dtype == np.float32 for row in scores for score in row)
    with torch.no_grad():
        batch = build_batch(lm.parts, rows[:1], source)
        logps, mask = branch_logps(lm.model, batch)
        ((found,), _) = score_batch(lm.model, batch)
    np.testing.assert_array_equal(np.concatenate([score.token_logps for score in found]), logps[mask])


def test_comparisons_that_mean_nothing_are_refused(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    prompt = Prompt((make_view(), QUESTIONS[0]))
    rows = [Row(prompt, RESPONSES[:1]), Row(prompt, RESPONSES[:1]), Row(prompt, RESPONSES[1:])]
    for against in ({2: 0}, {1: 1}):
        with pytest.raises(InputError, match=r"rows \d and \d cannot be compared: they must be two rows with the same first"):
            lm.score(rows, source, against=against)


def test_two_rows_compared_with_each_other(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    views = [make_view("video-a", 4), make_view("video-a", 4).with_contents([3, 2, 1, 0])]
    rows = [Row(Prompt((view, QUESTIONS[0])), RESPONSES[:1]) for view in views]
    one_way = [lm.score(rows, source, against={row: 1 - row})[row][0] for row in (0, 1)]
    for size in (1, 2):
        both = [scores[0] for scores in lm.score(rows, source, against={0: 1, 1: 0}, batch_size=size)]
        for found, expected in zip(both, one_way, strict=True):
            assert found.first_token_kl == pytest.approx(expected.first_token_kl, abs=1e-5)
            assert found.token_divergences == pytest.approx(expected.token_divergences, abs=1e-5)
    assert one_way[0].first_token_kl != pytest.approx(one_way[1].first_token_kl, abs=1e-4)
