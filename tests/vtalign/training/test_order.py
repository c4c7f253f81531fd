from dataclasses import replace
from itertools import pairwise

import pytest

from vtalign.errors import InputError
from vtalign.preference.pair import PreferencePair
from vtalign.training.config import CurriculumSettings
from vtalign.training.data import PairExample
from vtalign.training.order import curriculum_order, together


@pytest.fixture
def examples(example_pairs: list[PreferencePair]) -> list[PairExample]:
    return [PairExample(pair, pair.clean_prompt, pair.chosen, pair.rejected) for pair in example_pairs]


def test_strong_perturbations_come_first(examples: list[PairExample]) -> None:
    order, levels = curriculum_order(examples, CurriculumSettings(order="easy_to_hard"), len(examples), seed=0)
    assert sorted(order) == list(range(len(examples)))
    strengths = [examples[i].pair.perturbation.strength for i in order if examples[i].pair.perturbation is not None]
    assert strengths == sorted(strengths, reverse=True)
    assert {levels[i] for i in order[:8]} == {1} and set(levels) == {1, 2, 3}


def test_hard_to_easy_is_the_other_way_round(examples: list[PairExample]) -> None:
    order, levels = curriculum_order(examples, CurriculumSettings(order="hard_to_easy"), len(examples), seed=0)
    assert [levels[i] for i in order] == sorted((levels[i] for i in order), reverse=True)


@pytest.mark.parametrize("share", [0.5, 1.5])
def test_a_part_of_a_pass_shortens_every_stage_alike(examples: list[PairExample], share: float) -> None:
    wanted = int(len(examples) * share)
    order, levels = curriculum_order(examples, CurriculumSettings(order="easy_to_hard"), wanted, seed=0)
    counts = [sum(levels[i] == level for i in order) for level in (1, 2, 3)]
    assert sum(counts) == wanted and max(counts) - min(counts) <= 1
    if share > 1:
        assert set(order) == set(range(len(examples)))


def test_score_orders_by_the_margin_per_token(examples: list[PairExample]) -> None:
    order, levels = curriculum_order(examples, CurriculumSettings(order="easy_to_hard", by="score"), len(examples), seed=0)
    margins = []
    for level in (1, 2, 3, 4):
        scores = [examples[i].pair.scores for i in order if levels[i] == level]
        margins.append(max(s.logp_rejected / s.tokens_rejected - s.logp_chosen / s.tokens_chosen for s in scores if s))
    assert margins == sorted(margins)


def test_divergence_orders_from_what_the_model_notices_to_what_it_does_not(examples: list[PairExample]) -> None:
    settings = CurriculumSettings(order="easy_to_hard", by="divergence")
    with pytest.raises(InputError, match=r"scores\.divergence"):
        curriculum_order(examples, settings, len(examples), seed=0)
    measured = []
    for number, example in enumerate(examples):
        assert example.pair.scores is not None
        scores = replace(example.pair.scores, divergence=number * 5 % 13 / 20)
        measured.append(replace(example, pair=replace(example.pair, scores=scores)))
    order, levels = curriculum_order(measured, settings, len(measured), seed=0)
    found = [[s.divergence for i in order if levels[i] == level and (s := measured[i].pair.scores)] for level in (1, 2, 3, 4)]
    assert all(min(easier) >= max(harder) for easier, harder in pairwise(found))


def test_score_needs_scores(examples: list[PairExample]) -> None:
    examples[3] = replace(examples[3], pair=replace(examples[3].pair, scores=None))
    with pytest.raises(InputError, match=examples[3].id):
        curriculum_order(examples, CurriculumSettings(order="easy_to_hard", by="score"), 5, seed=0)


def test_a_random_order_needs_no_strength(examples: list[PairExample]) -> None:
    plain = [replace(example, pair=replace(example.pair, perturbation=None)) for example in examples]
    order, levels = curriculum_order(plain, CurriculumSettings(order="random"), len(plain), seed=0)
    assert sorted(order) == list(range(len(plain))) and set(levels) == {1}
    with pytest.raises(InputError, match="strength"):
        curriculum_order(plain, CurriculumSettings(order="easy_to_hard"), len(plain), seed=0)


def test_swapped_labels_keep_the_order(examples: list[PairExample]) -> None:
    swapped = [replace(e, chosen=e.rejected, rejected=e.chosen, swapped=True) for e in examples]
    for by in ("score", "strength"):
        settings = CurriculumSettings.model_validate({"order": "easy_to_hard", "by": by})
        assert curriculum_order(examples, settings, 10, seed=0) == curriculum_order(swapped, settings, 10, seed=0)


@pytest.mark.parametrize("order", ["easy_to_hard", "random"])
def test_pairs_about_one_video_come_together_inside_their_stage(examples: list[PairExample], order: str) -> None:
    wanted = 2 * len(examples)  # every pair comes twice, and never two times in one stretch
    apart, levels = curriculum_order(examples, CurriculumSettings(order=order, stages=2, window=1), wanted, seed=0)
    near, same_levels = curriculum_order(examples, CurriculumSettings(order=order, stages=2), wanted, seed=0)
    assert levels == same_levels and sorted(near) == sorted(apart) and near != apart
    if order == "easy_to_hard":
        assert [levels[i] for i in near] == [levels[i] for i in apart]
    half = len(examples) if order == "random" else sum(level == 1 for level in levels)
    for start in (0, half):
        videos = [examples[i].pair.video_id for i in near[start : start + half]]
        assert len(set(near[start : start + half])) == half
        assert sum(one != other for one, other in pairwise(videos)) == len(set(videos)) - 1


def test_a_window_bounds_how_far_pairs_move() -> None:
    order, keys = [0, 1, 2, 3, 4, 5], ["a", "b", "a", "b", "a", "b"]
    assert together(order, keys, [0] * 6, 1) == order
    assert together(order, keys, [0] * 6, 4) == [0, 2, 1, 3, 4, 5]
    assert together(order, keys, [0] * 6, 6) == [0, 2, 4, 1, 3, 5]
    assert together(order, keys, [0, 0, 0, 1, 1, 1], 6) == [0, 2, 1, 3, 5, 4]
    assert together([0, 1, 2, 0, 2], keys, [0] * 6, 6) == [0, 2, 1, 0, 2]
    assert together([], keys, [0] * 6, 6) == []
