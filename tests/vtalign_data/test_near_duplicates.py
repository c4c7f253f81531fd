import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.preference.pair import VIEW_KIND
from vtalign_data.near_duplicates import jaccard, near_duplicates, shingles
from vtalign_data.score_filter_config import ScoreFilterConfig

from .scored import scored

PROMPT = "What happens in the video?"
CHOSEN = "First, a man runs. Then, a dog barks. Finally, it rains."
REJECTED = "First, it rains. Then, a dog barks. Finally, a man runs."


def found(*pairs, at: float) -> dict[str, str]:
    return near_duplicates(pairs, ScoreFilterConfig(near_duplicate=at))


def test_shingles_see_order_but_no_case_and_no_punctuation() -> None:
    assert shingles("A man runs, fast.") == {("a", "man", "runs"), ("man", "runs", "fast")}
    assert shingles("Two words") == {("two", "words")} and shingles("") == {()}
    assert jaccard(shingles("a b c d"), shingles("a b c e")) == 1 / 3
    assert jaccard(shingles(CHOSEN), shingles("first a man runs then a dog barks finally it RAINS")) == 1
    assert jaccard(shingles(CHOSEN), shingles(REJECTED)) < 0.5, "the same words in another order"


def test_the_first_stays_and_is_named() -> None:
    first, again = scored(1, said=(PROMPT, CHOSEN, REJECTED)), scored(2, said=(PROMPT, CHOSEN, REJECTED.upper()))
    assert found(again, first, at=1.0) == {"pair-002": "1.00 like pair-001"}
    assert near_duplicates([first, again], ScoreFilterConfig()) == {}


@pytest.mark.parametrize("threshold", [0.5, 0.5001])
def test_the_threshold_is_met_by_what_equals_it(threshold: float) -> None:
    """Two of four distinct shingles are shared: similarity 0.5, that of the rejected sides, which are the least alike."""
    pairs = [scored(1, said=(PROMPT, CHOSEN, "a b c d e")), scored(2, said=(PROMPT, CHOSEN, "a b c d f"))]
    assert jaccard(shingles("a b c d e"), shingles("a b c d f")) == 0.5
    assert found(*pairs, at=threshold) == ({"pair-002": "0.50 like pair-001"} if threshold == 0.5 else {})


@pytest.mark.parametrize("change", [{"video": "video-2"}, {"kind": "order"}, {"said": ("Why?", CHOSEN, REJECTED)}])
def test_pairs_of_other_videos_kinds_and_prompts_are_no_duplicates(change: dict) -> None:
    said = (PROMPT, CHOSEN, REJECTED)
    assert found(scored(1, said=said), scored(2, **{"said": said, **change}), at=0.9) == {}


def test_pairs_of_views_say_the_same_by_design() -> None:
    said = (PROMPT, CHOSEN, CHOSEN)
    assert found(scored(1, kind=VIEW_KIND, said=said), scored(2, kind=VIEW_KIND, said=said), at=0.5) == {}


@given(st.integers(0, 1000), st.floats(0.05, 1), st.floats(0.05, 1))
def test_a_milder_threshold_never_takes_more_and_order_does_not_matter(seed: int, one: float, other: float) -> None:
    draw = random.Random(seed)
    pairs = [
        scored(number, video=f"video-{number % 2}", said=(PROMPT, CHOSEN, " ".join(draw.choices("abcd", k=6))))
        for number in range(12)
    ]
    strict = found(*pairs, at=min(one, other))
    assert set(found(*pairs, at=max(one, other))) <= set(strict)
    assert found(*draw.sample(pairs, len(pairs)), at=min(one, other)) == strict
