import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from vtalign.errors import InputError, RunFailed
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row
from vtalign.models.rows import branch_logps
from vtalign.models.video_lm import VideoLM
from vtalign.training.collator import BatchCollator, coalesce, pair_batch, sft_batch
from vtalign.training.data import PairExample, SFTExample, in_lists
from vtalign.video.frames import FrameStore
from vtalign.video.view import Slot, VideoView


def read(rows: list[Row]) -> list[tuple[Prompt, str]]:
    """What each branch continues and says."""
    return [(row.prompt, text) for row in rows for text in row.responses]


def test_pairs_of_one_group_become_one_row(examples: list[PairExample]) -> None:
    rows, sides = coalesce(examples)
    branches = read(rows)
    assert len(rows) == len({e.pair.group_id for e in examples}) and set(sides) == {"chosen", "rejected"}
    for example, c, r in zip(examples, sides["chosen"], sides["rejected"], strict=True):
        assert (branches[c], branches[r]) == ((example.prompt, example.chosen), (example.prompt, example.rejected))


def test_equal_rejected_responses_are_one_branch(examples: list[PairExample]) -> None:
    one, other = examples[:2]
    twice = [one, replace(other, chosen=one.chosen, rejected=one.rejected, prompt=one.prompt)]
    rows, sides = coalesce(twice)
    assert [len(row.responses) for row in rows] == [2]
    assert sides["chosen"].tolist() == [0, 0] and sides["rejected"].tolist() == [1, 1]


def test_swapped_labels_share_what_they_then_have_in_common(examples: list[PairExample]) -> None:
    same = [example for example in examples if example.pair.group_id == examples[0].pair.group_id]
    swapped = [replace(example, chosen=example.rejected, rejected=example.chosen) for example in same]
    rows, sides = coalesce(swapped)
    branches = read(rows)
    assert [branches[c][1] for c in sides["chosen"]] == [example.chosen for example in swapped]
    assert [branches[r][1] for r in sides["rejected"]] == [example.rejected for example in swapped]


def test_views_are_compared_by_one_response_on_two_prompts(examples: list[PairExample]) -> None:
    one, other = examples[0], examples[-1]
    both = [replace(one, second=other.prompt), replace(other, second=one.prompt)]
    rows, sides = coalesce(both)
    branches = read(rows)
    for example, p in zip(both, sides["perturbed"], strict=True):
        assert branches[p] == (example.second, example.chosen)
    rows, sides = coalesce([replace(example, rejected=None) for example in both])
    assert set(sides) == {"chosen", "perturbed"} and sum(len(row.responses) for row in rows) == 4


def test_a_list_is_its_pairs(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    lists = in_lists(examples)
    assert [example.id for example in lists] == list(dict.fromkeys(e.pair.group_id for e in examples))
    batch = pair_batch(lm.parts, lists[:2], store)
    assert batch.ids == tuple(e.id for e in examples if e.pair.group_id in {lists[0].id, lists[1].id})
    assert batch.lists.tolist() == [0] * len(lists[0].pairs) + [1] * len(lists[1].pairs) and batch.groups == 2
    same = [examples[0], replace(examples[1], rejected=examples[0].rejected)]
    assert in_lists(same) == [examples[0]] and in_lists(same)[0].id == examples[0].id


def test_reference_and_phrases_stand_at_their_tokens(lm: VideoLM, store: FrameStore, examples: list[PairExample]) -> None:
    pair = replace(examples[0], chosen="a red square moves .", rejected="a blue square moves fast .")
    pair = replace(pair, chosen_phrases=((2, 5),), rejected_phrases=((2, 6), (20, 24)))
    known = lm.score([Row(pair.prompt, (pair.chosen, pair.rejected))], store)[0]
    pair = replace(pair, reference={"chosen": known[0].token_logps, "rejected": known[1].token_logps})
    batch = pair_batch(lm.parts, [examples[5], pair], store)
    assert batch.rows is not None and batch.reference is not None
    logps, mask = branch_logps(lm.model, batch.rows)
    for side in ("chosen", "rejected"):
        branch = batch.sides[side][1]
        torch.testing.assert_close(batch.reference[branch][mask[branch]], logps[branch][mask[branch]], atol=1e-5, rtol=0)
        ids = batch.rows.targets[branch][batch.phrases[side][1]].tolist()
        assert lm.tokenizer.decode(ids).split() == (["red"] if side == "chosen" else ["blue", "fast"])
        assert not batch.phrases[side][0].any()
    with pytest.raises(RunFailed, match=f"^{pair.id}: its chosen side has . tokens and had 1"):
        pair_batch(lm.parts, [replace(pair, reference={**pair.reference, "chosen": np.zeros(1, np.float32)})], store)


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
