import random

import numpy as np

from vtalign_data.lengths import PairLength, _fit, length_report


def pair(number: int, chars: tuple[int, int], tokens: tuple[int, int] | None = None, video: int | None = None) -> PairLength:
    tokens = tokens or (chars[0] // 4, chars[1] // 4)
    name = f"video-{number // 4 if video is None else video}"
    return PairLength(f"pair-{number:04d}", name, "response", *chars, *tokens)


def test_by_hand() -> None:
    sizes = [((10, 8), None), ((6, 8), None), ((5, 5), (2, 1)), ((4, 4), (1, 1))]
    report = length_report([pair(k, chars, tokens, video=k) for k, (chars, tokens) in enumerate(sizes)])
    assert (report.pairs, report.chosen_longer, report.chosen_shorter) == (4, 2, 1)
    assert report.mean_gap_chars == 0.0 and report.mean_gap_tokens == 0.0


def test_equal_lengths_are_a_coin() -> None:
    assert length_report([pair(k, (20, 20)) for k in range(40)]).accuracy == 0.5


def test_chosen_always_longer_is_seen() -> None:
    report = length_report([pair(k, (30 + k % 5, 20)) for k in range(60)])
    assert report.accuracy == 1.0 and report.linear == 1.0


def test_lengths_without_a_rule_are_not_learned() -> None:
    rng = random.Random(0)
    report = length_report([pair(k, (rng.randint(20, 60), rng.randint(20, 60))) for k in range(2000)])
    assert report.accuracy is not None and 0.45 < report.accuracy < 0.55


def test_a_rule_that_is_not_linear_is_seen_by_the_buckets() -> None:
    """Small gaps: chosen longer; large gaps: chosen shorter."""
    pairs = [pair(k, (41, 40) if k % 2 else (40, 60)) for k in range(400)]
    report = length_report(pairs)
    assert report.buckets == 1.0 and report.accuracy == 1.0


def test_a_rule_in_tokens_only_is_seen() -> None:
    report = length_report([pair(k, (40, 40), (12, 10)) for k in range(60)])
    assert report.accuracy == 1.0


def test_one_video_cannot_be_measured() -> None:
    assert length_report([pair(k, (9, 5), video=0) for k in range(9)]).accuracy is None
    assert length_report([]).accuracy is None


def test_swapping_all_sides_changes_nothing_but_the_signs() -> None:
    rng = random.Random(1)
    sizes = [(rng.randint(20, 60), rng.randint(15, 60)) for _ in range(200)]
    there, back = (length_report([pair(k, size[::step]) for k, size in enumerate(sizes)]) for step in (1, -1))
    assert there.accuracy == back.accuracy and there.mean_gap_chars == -back.mean_gap_chars


def test_the_fit_is_a_stationary_point() -> None:
    features = np.random.default_rng(0).normal(0.3, 1, (50, 3))
    weights = _fit(features)
    gradient = features.T @ (1 / (1 + np.exp(features @ weights))) - weights
    assert np.abs(gradient).max() < 1e-6
