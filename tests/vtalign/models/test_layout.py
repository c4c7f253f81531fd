"""Shared rows as trees: who attends to whom, what shares a row, and that sharing a video among questions changes no number."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtalign.errors import InputError
from vtalign.models.encode import EncodedPrompt, encode_prompts
from vtalign.models.layout import lay_out, tree_mask
from vtalign.models.prompt import Prompt
from vtalign.models.requests import FrameSource, Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.video_lm import VideoLM
from vtalign.video.view import VideoView

Reference = Callable[[VideoLM, Row, FrameSource], list[torch.Tensor]]
MakeView = Callable[..., VideoView]


def test_the_mask_by_hand() -> None:
    nodes, parents = np.array([0, 0, 1, 2, 2, 3, 4]), [-1, 0, 1, 0, 3]
    # prefix, prefix, suffix 1, its branch (2 tokens), suffix 3, its branch
    expected = [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1, 1],
    ]
    assert tree_mask(nodes, parents).astype(int).tolist() == expected


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 2), max_size=4), st.lists(st.integers(1, 3), max_size=3)), min_size=1, max_size=6)
)
@settings(max_examples=60, deadline=None)
def test_every_path_reads_as_the_sequence_alone(questions: list[tuple[list[int], list[int]]]) -> None:
    video = [9, 7, 7, 7, 8]
    rows = []
    for number, (question, sizes) in enumerate(questions):
        ids = np.array([*video, 5, *question, 6])
        positions = np.tile(np.arange(len(ids)), (3, 1))
        prompt = EncodedPrompt(ids, np.where(ids == 7, 2, 0), positions, (VideoView((), 2.0),))
        rows.append((prompt, [[100 + number] * size for size in sizes]))
    layout = lay_out(rows, 1000, share=True, dense=True)
    for place, (prompt, branches) in zip(layout.places, rows, strict=True):
        for branch, start in zip([[], *branches], [0, *place.branches], strict=True):
            path = np.concatenate([place.prompt, np.arange(start, start + len(branch), dtype=np.int64)])
            assert layout.ids[place.row, path].tolist() == [*prompt.ids.tolist(), *branch]
            assert layout.positions[1, place.row, path].tolist() == list(range(len(path)))
            # the path attends to itself causally and to nothing else of its row
            sees = layout.mask[place.row][path]
            assert (sees[:, path] == np.tril(np.ones((len(path), len(path)), bool))).all()
            assert sees.sum() == len(path) * (len(path) + 1) // 2


@torch.no_grad()
def test_questions_about_one_video_share_its_row(
    lm: VideoLM, source: FrameSource, make_view: MakeView, reference_logps: Reference
) -> None:
    view, other = make_view("video-a", 6), make_view("video-b", 2)
    questions = ("what happens first ?", "what happens", "describe the video .", "what happens first ?")
    rows = [Row(Prompt((view, question)), ("a red square", "a blue circle grows .")) for question in questions]
    rows.insert(2, Row(Prompt((other, "what ?")), ("a red square",)))
    batch = build_batch(lm.parts, rows, source)
    assert len(batch.input_ids) == 2 and batch.branches == (2, 2, 1, 2, 2)
    assert batch.visual is not None and not batch.visual.repeats
    logps, mask = branch_logps(lm.model, batch)
    reference = [logps for row in rows for logps in reference_logps(lm, row, source)]
    for row, real, expected in zip(logps, mask, reference, strict=True):
        torch.testing.assert_close(row[real], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_text_rows_share_only_where_they_are_the_same(lm: VideoLM, source: FrameSource, reference_logps: Reference) -> None:
    rows = [Row(Prompt((text,)), ("a red square", "x")) for text in ("what ?", "what happens ?", "what ?")]
    batch = build_batch(lm.parts, rows, source)
    assert len(batch.input_ids) == 2 and batch.visual is None
    logps, mask = branch_logps(lm.model, batch)
    reference = [logps for row in rows for logps in reference_logps(lm, row, source)]
    for row, real, expected in zip(logps, mask, reference, strict=True):
        torch.testing.assert_close(row[real], expected, atol=1e-5, rtol=0)


def test_sharing_stops_where_padding_would_cost_more(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    many = [Row(Prompt((make_view("video-a", 4), f"what happens {n} ?")), ("a red square " * 8,)) for n in range(16)]
    alone = [Row(Prompt((make_view(f"video-{n}", 4), "what ?")), ("x",)) for n in range(16)]
    together = build_batch(lm.parts, many, source)
    assert len(together.input_ids) == 1
    mixed = build_batch(lm.parts, many + alone, source)
    assert len(mixed.input_ids) > 17
    prompts, _ = encode_prompts(lm.parts, [row.prompt for row in many + alone], source)
    assert mixed.input_ids.numel() <= 32 * (max(map(len, prompts)) + int(mixed.target_mask.sum(-1).max()))


def test_rows_of_one_path_need_no_mask(lm: VideoLM, source: FrameSource, make_view: MakeView) -> None:
    given = [Prompt((make_view("video-a", 6), "what ?")), Prompt((make_view("video-b", 2), "what happens ?"))]
    prompts, _ = encode_prompts(lm.parts, given, source)
    longest = max(map(len, prompts))
    layout = lay_out([(prompt, []) for prompt in prompts], 1000, share=True)
    assert layout.mask.shape == (2, 0, longest)
    # one response each, of unlike length
    layout = lay_out([(prompts[0], [[7, 7]]), (prompts[1], [[7] * 5])], 1000, share=True)
    assert layout.mask.shape == (2, 0, len(prompts[0]) + 2) and layout.blocks == ()
    # a short row of one path does not ask for a mask over the long one, which forks
    forked = lay_out([(prompts[0], [[7, 7], [8]]), (prompts[1], [[7]])], 1000, share=True)
    assert forked.mask.shape == (2, 3, len(prompts[0]) + 3)
    assert forked.mask[0, :, : len(prompts[0])].all()
    # a long row of one path is causal where the short one forks
    forked = lay_out([(prompts[0], [[7]]), (prompts[1], [[7, 7], [8]])], 1000, share=True)
    start = len(prompts[1])
    assert (forked.mask[0] == np.tril(np.ones((len(prompts[0]) + 1,) * 2, bool))[start:]).all()
    assert forked.mask[1, :3, : start + 3].astype(int).tolist() == [
        [1] * start + own for own in ([1, 0, 0], [1, 1, 0], [0, 0, 1])
    ]


def test_a_response_beyond_the_positions_is_refused(lm: VideoLM, source: FrameSource) -> None:
    prompts, _ = encode_prompts(lm.parts, [Prompt(("what ?",))], source)
    with pytest.raises(InputError, match="positions"):
        lay_out([(prompts[0], [[1] * 50])], max_positions=40, share=True)
