import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vtalign.errors import InputError
from vtalign.preference.pair import PreferencePair
from vtalign.training.curriculum import CurriculumSettings
from vtalign.training.data import PairExample
from vtalign.training.order import curriculum_order, difficulties, require_difficulties, together


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
    assert together([0, 1, 2, 0, 2], keys, [0] * 5, 6) == [0, 2, 1, 0, 2]
    assert together([], keys, [], 6) == []


def settings(**given: Any) -> CurriculumSettings:
    return CurriculumSettings.model_validate({"order": "easy_to_hard", **given})


def with_columns(examples: list[PairExample], **columns: list[Any]) -> list[PairExample]:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [replace(example, columns=row) for example, row in zip(examples, rows, strict=True)]


def test_a_column_orders_and_one_of_constant_value_does_not(examples: list[PairExample]) -> None:
    n = len(examples)
    mine = with_columns(examples, mine=[(7 * i) % n for i in range(n)])
    order, levels = curriculum_order(mine, settings(by="column:mine", stages=n), n, seed=0)
    assert [mine[i].columns["mine"] for i in order] == list(range(n)) and sorted(levels) == list(range(1, n + 1))
    alike = with_columns(examples, mine=[0.5] * n)
    with pytest.raises(InputError, match=rf"all {n} pairs are equally hard, so there is no order easy to hard by column:mine"):
        curriculum_order(alike, settings(by="column:mine"), n, seed=0)
    assert sorted(curriculum_order(alike, settings(by="column:mine", order="mixed"), n, seed=0)[0]) == list(range(n))


def test_a_value_that_is_missing_is_said_before_a_model_is_loaded(examples: list[PairExample]) -> None:
    holed = with_columns(examples, mine=[None if i == 4 else i for i in range(len(examples))])
    for by in ("column:mine", {"score": 1, "column:mine": 2}):
        with pytest.raises(InputError, match=f"pair {examples[4].id}: column mine"):
            require_difficulties(holed, settings(by=by))
    with pytest.raises(InputError, match=f"pair {examples[4].id}: column mine"):
        require_difficulties(holed, settings(by={"score": 1, "column:mine": 2}, rescore=True))
    unscored = [replace(example, pair=replace(example.pair, scores=None)) for example in examples]
    require_difficulties(unscored, settings(by="score", rescore=True))
    with pytest.raises(InputError, match=r"scores\.chosen_logps: missing"):
        require_difficulties(unscored, settings(by="score"))


def test_every_stage_by_reward_gap_meets_every_prompt_once(examples: list[PairExample]) -> None:
    """Three rejected responses to each prompt; the first in its group is rated close to the chosen one."""
    ratings = {2: 4, 4: 1, 8: 3}
    strengths = [example.pair.perturbation.strength for example in examples if example.pair.perturbation is not None]
    rated = with_columns(examples, chosen_rating=[5] * len(examples), rejected_rating=[ratings[s] for s in strengths])
    order, levels = curriculum_order(rated, settings(by="reward_gap:rating"), len(rated), seed=0)
    assert [{2: 3, 4: 1, 8: 2}[strength] for strength in strengths] == levels
    third = len(rated) // 3
    for start in (0, third, 2 * third):
        assert len({rated[i].pair.group_id for i in order[start : start + third]}) == third
    # by score: tokens are 20 and 22, and log-probs -40 - k and -50 + 3 k for the k-th strength, so that the gap falls with k
    _, levels = curriculum_order(examples, settings(by="reward_gap"), len(examples), seed=0)
    assert [{2: 1, 4: 2, 8: 3}[strength] for strength in strengths] == levels


def test_length_orders_by_characters(examples: list[PairExample]) -> None:
    n = len(examples)
    order, _ = curriculum_order(examples, settings(by="text_length", stages=n), n, seed=0)
    lengths = [len(examples[i].chosen) + len(examples[i].rejected) for i in order]
    assert lengths == sorted(lengths) and len(set(lengths)) > 3


def test_a_blend_lies_between_its_parts(examples: list[PairExample]) -> None:
    n = len(examples)
    opposed = with_columns(examples, up=list(range(n)), down=list(range(n, 0, -1)))
    ups = {}
    for share in (0.9, 0.5, 0.1):
        found = difficulties(opposed, settings(by={"column:up": share, "column:down": 1 - share}, order="random"))
        ups[share] = found[-1] - found[0]
    assert ups[0.9] == pytest.approx(0.8) and ups[0.5] == pytest.approx(0) and ups[0.1] == pytest.approx(-0.8)


def test_replaced_scores_reverse_the_order(examples: list[PairExample]) -> None:
    n = len(examples)
    again = {}
    for example in examples:
        assert example.pair.scores is not None
        again[example.id] = replace(example.pair.scores, logp_chosen=example.pair.scores.logp_rejected * 20 / 22)
        again[example.id] = replace(again[example.id], logp_rejected=example.pair.scores.logp_chosen * 22 / 20)
    rescored = settings(by="score", rescore=True)
    assert difficulties(examples, rescored, again) == pytest.approx([-d for d in difficulties(examples, settings(by="score"))])
    assert curriculum_order(examples, rescored, n, 0, scores=again) != curriculum_order(examples, settings(by="score"), n, 0)
    with pytest.raises(InputError, match=f"pair {examples[2].id}: scores"):
        curriculum_order(examples, rescored, n, 0, scores={i: s for i, s in again.items() if i != examples[2].id})
    with pytest.raises(ValueError, match="needs `scores`"):
        curriculum_order(examples, rescored, n, 0)


CURRICULA = st.sampled_from(
    [
        settings(),
        settings(by="score", stages=3, replay=0.2),
        settings(by={"score": 2, "text_length": 1}, pacing="root", replay=0.1),
        settings(pacing="geometric", order="random", window=2),
        settings(order="mixed"),
        settings(order="random"),
    ]
)


@given(CURRICULA, st.data(), st.integers(1, 60))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_how_the_pairs_are_arranged_does_not_change_the_order_by_id(
    examples: list[PairExample], curriculum: CurriculumSettings, data: st.DataObject, wanted: int
) -> None:
    """The fixture only holds the pairs, and is not changed."""
    mixed_up = data.draw(st.permutations(examples))
    found = []
    for arranged in (examples, mixed_up):
        order, levels = curriculum_order(arranged, curriculum, wanted, seed=1, per_step=4)
        found.append([(arranged[i].id, levels[i]) for i in order])
    assert found[0] == found[1] and len(found[0]) == wanted


def test_continuous_pacing_brings_pairs_together_within_its_window(examples: list[PairExample]) -> None:
    n, per_step = len(examples), 2
    apart, levels = curriculum_order(examples, settings(by="score", pacing="root", window=1), 4 * n, seed=0)
    for window, reach in ((3, 3 * per_step), ("stage", math.ceil(4 * n / 10))):
        curriculum = settings(by="score", pacing="root", window=window)
        near, same_levels = curriculum_order(examples, curriculum, 4 * n, seed=0, per_step=per_step)
        assert levels == same_levels and near != apart and sorted(near) == sorted(apart)
        assert switches(near, examples) < switches(apart, examples)
        came: Counter[int] = Counter()
        places: dict[tuple[int, int], int] = {}
        for position, index in enumerate(apart):
            places[index, came[index]] = position
            came[index] += 1
        came.clear()
        for position, index in enumerate(near):
            assert abs(places[index, came[index]] - position) < reach
            came[index] += 1


def switches(order: list[int], examples: list[PairExample]) -> int:
    return sum(examples[one].pair.video_id != examples[other].pair.video_id for one, other in pairwise(order))


def test_the_levels_of_continuous_pacing_are_quarters(examples: list[PairExample]) -> None:
    order, levels = curriculum_order(examples, settings(pacing="linear", start=0.25), len(examples), seed=0)
    assert sorted(Counter(levels)) == [1, 2, 3, 4] and sorted(order) == list(range(len(examples)))
    third = len(order) // 3
    means = [sum(levels[i] for i in order[start : start + third]) / third for start in (0, third, 2 * third)]
    assert means == sorted(means) and means[-1] - means[0] > 1


def test_replays_count_as_part_of_the_training(examples: list[PairExample]) -> None:
    n = len(examples)
    order, levels = curriculum_order(examples, settings(replay=0.25), n, seed=0)
    third = n // 3
    for stage, replays in ((0, 0), (1, third // 4), (2, third // 4)):
        met = [levels[i] for i in order[stage * third : stage * third + third]]
        assert len(met) == third and met.count(stage + 1) == third - replays and max(met) == stage + 1
