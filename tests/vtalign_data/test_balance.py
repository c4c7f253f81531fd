import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtalign_data.balance import LEVELS, balance, measure
from vtalign_data.lengths import PairLength, gap_bucket


def make(number: int, chars: tuple[int, int], tokens: tuple[int, int], kind: str = "response") -> PairLength:
    return PairLength(f"pair-{number:05d}", f"video-{number // 5}", kind, *chars, *tokens)


def confounded(n: int, seed: int = 0) -> list[PairLength]:
    """Chosen is longer in four of five pairs, most of all in long ones; one kind of question the other way round."""
    rng = random.Random(seed)
    pairs = []
    for number in range(n):
        kind = ("response", "order", "match")[number % 3]
        base, gap = rng.randint(20, 200), abs(round(rng.gauss(0, 8)))
        longer = rng.random() < (0.3 if kind == "match" else 0.8 if base > 80 else 0.65)
        chars = (base + gap, base) if longer else (base, base + gap)
        pairs.append(make(number, chars, (chars[0] // 4 + rng.randint(0, 1), chars[1] // 4 + rng.randint(0, 1)), kind))
    return pairs


def test_lengths_no_longer_tell() -> None:
    result = balance(confounded(3000), 0.55, seed=0)
    assert result.before.accuracy is not None and result.before.accuracy > 0.6
    assert result.after.accuracy is not None and result.after.accuracy <= 0.55
    assert result.after.chosen_longer == result.after.chosen_shorter
    assert len(result.kept) > 1000  # and much is left
    assert len(result.kept) + len(result.dropped) == 3000


def test_balanced_lengths_are_left_alone() -> None:
    pairs = [make(k, (40, 40), (10, 10)) for k in range(100)]
    result = balance(pairs, 0.55, seed=0)
    assert result.level == "none" and result.kept == tuple(pairs) and result.dropped == ()


def test_few_pairs_are_not_given_up_for_noise() -> None:
    for seed in range(10):
        result = balance(confounded(40, seed), 0.55, seed)
        assert len(result.kept) >= 8
        assert result.after.accuracy is not None and result.after.accuracy <= 0.55


def test_one_video_is_evened_out_coarsely() -> None:
    pairs = [PairLength(f"p{k}", "video", "order", 40 + (k % 3 > 0), 40 + (k % 3 == 0), 9, 9) for k in range(9)]
    result = balance(pairs, 0.55, seed=0)
    assert result.level == "gap" and len(result.kept) == 6 and result.after.accuracy is None


def test_it_can_be_switched_off() -> None:
    assert balance(confounded(300), 1.0, seed=0).dropped == ()


def test_always_longer_leaves_nothing() -> None:
    assert balance([make(k, (60, 40), (15, 10)) for k in range(100)], 0.55, seed=0).kept == ()


@given(st.integers(0, 10_000), st.sampled_from(list(LEVELS)))
@settings(max_examples=20, deadline=None)
def test_each_bucket_is_even_and_the_input_order_does_not_matter(seed: int, level: str) -> None:
    pairs = confounded(120, seed)
    result = balance(pairs, 0.5, seed)
    shuffled = random.Random(seed).sample(pairs, len(pairs))
    assert balance(shuffled, 0.5, seed) == result
    if result.level != "none":
        signs = Counter()
        for pair in result.kept:
            signs[LEVELS[result.level](pair)] += pair.sign
        assert set(signs.values()) <= {0}


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 80), st.integers(0, 80))
def test_both_directions_of_a_gap_share_a_bucket(a: int, b: int, c: int, d: int) -> None:
    for bucket in LEVELS.values():
        assert bucket(make(0, (a, b), (c, d))) == bucket(make(1, (b, a), (d, c)))


def test_gap_buckets() -> None:
    assert [gap_bucket(gap) for gap in (0, 1, -1, 2, 3, 4, -7, 8, 15, 16)] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]


def test_measured_lengths() -> None:
    rows = [{"pair_id": "p", "video_id": "v", "kind": "order", "chosen": "a b c", "rejected": "a b"}]
    (length,) = measure(rows, lambda texts: [len(text.split()) for text in texts])
    assert (length.chars_gap, length.tokens_gap, length.sign) == (2, 1, 1)
    with pytest.raises(ValueError):
        measure([*rows, *rows], lambda texts: [1])
