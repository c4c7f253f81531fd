import logging
from dataclasses import replace

import pytest

from vtalign.errors import InputError
from vtalign.models.video_lm import VideoLM
from vtalign.training.collator import BatchCollator, coalesce, pair_batch, sft_batch
from vtalign.training.data import PairExample, SFTExample
from vtalign.video.frames import FrameStore
from vtalign.video.view import Slot, VideoView


def test_pairs_of_one_group_become_one_row(examples: list[PairExample]) -> None:
    rows, chosen, rejected = coalesce(examples)
    responses = [text for row in rows for text in row.responses]
    assert len(rows) == len({e.pair.group_id for e in examples})
    for example, c, r in zip(examples, chosen, rejected, strict=True):
        assert (responses[c], responses[r]) == (example.chosen, example.rejected)


def test_equal_rejected_responses_are_one_branch(examples: list[PairExample]) -> None:
    one, other = examples[:2]
    twice = [one, replace(other, chosen=one.chosen, rejected=one.rejected, prompt=one.prompt)]
    rows, chosen, rejected = coalesce(twice)
    assert [len(row.responses) for row in rows] == [2] and chosen == [0, 0] and rejected == [1, 1]


def test_swapped_labels_share_what_they_then_have_in_common(examples: list[PairExample]) -> None:
    same = [example for example in examples if example.pair.group_id == examples[0].pair.group_id]
    swapped = [replace(example, chosen=example.rejected, rejected=example.chosen) for example in same]
    rows, chosen, rejected = coalesce(swapped)
    responses = [text for row in rows for text in row.responses]
    assert [responses[c] for c in chosen] == [example.chosen for example in swapped]
    assert [responses[r] for r in rejected] == [example.rejected for example in swapped]


def test_an_unreadable_video_costs_its_pairs_and_a_line(
    lm: VideoLM, store: FrameStore, examples: list[PairExample], train_split: object, caplog: pytest.LogCaptureFixture
) -> None:
    gone = "video-gone"
    broken = FrameStore(store.root, {gone: "videos/gone.mp4"} | {e.pair.video_id: e.pair.video for e in examples}, store.policy)
    view = VideoView(tuple(Slot(gone, i, i / 2) for i in range(4)), 2.0)
    lost = replace(examples[1], prompt=replace(examples[1].prompt, parts=(view, "Describe the video.")))
    with caplog.at_level(logging.WARNING, "vtalign"), broken:
        collate = BatchCollator(lm.parts, broken, pair_batch)
        batch = collate([examples[0], lost, examples[2]])["batch"]
        assert batch.ids == (examples[0].id, examples[2].id) and batch.count == 2
        nothing = collate([lost])["batch"]
        assert nothing.rows is None and nothing.count == 0 and nothing.tokens == 0
        assert BatchCollator(lm.parts, broken, sft_batch)([SFTExample("a", lost.prompt, "x")])["batch"].rows is None
    assert sum(lost.id in line and "missing" in line for line in caplog.messages) == 2


def test_a_response_that_does_not_fit_the_model_is_named(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    long = replace(examples[1], rejected="a red square " * 9000)
    with pytest.raises(InputError, match=rf"^{long.id}: a response about view .* positions"):
        BatchCollator(lm.parts, store, pair_batch)([examples[0], long, examples[2]])
