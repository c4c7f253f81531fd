import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vtalign_data.sharpness import sharpest, sharpness


def test_blur_lowers_sharpness() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    scores = [sharpness(frame), *(sharpness(cv2.GaussianBlur(frame, (0, 0), sigma)) for sigma in (1, 2, 4))]
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0
    assert sharpness(np.full((64, 64, 3), 77, np.uint8)) == 0


def test_each_third_of_the_clip_gives_its_sharpest() -> None:
    """A clip of 9 s: windows of 3 s around 3 s and 6 s."""
    times = [0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.9]
    assert sharpest([9, 1, 1, 1, 1, 1, 1, 9], times, 0, 9) == [2, 5]  # equal inside: the centres; sharp edges do not count
    assert sharpest([0, 1, 1, 3, 1, 1, 1, 0], times, 0, 9) == [3, 5]  # 3 cos(60 degrees) = 1.5 beats 1
    assert sharpest([0, 1, 1, 1.9, 1, 1, 1, 0], times, 0, 9) == [2, 5]  # 1.9 / 2 does not


def test_short_clips_have_an_answer() -> None:
    assert sharpest([5.0], [0.0], 0, 0.5) == [0]
    assert sharpest([1.0, 2.0], [0.0, 0.5], 0, 1.0) == [0, 1]
    assert sharpest([1.0, 2.0, 3.0], [0.0, 0.01, 0.02], 0, 9.0) == [1, 2]  # all before the first window
    assert sharpest([], [], 0, 1.0) == []


@given(st.lists(st.floats(0, 50), min_size=1, max_size=12), st.floats(0.05, 30), st.integers(1, 4))
def test_some_frame_is_always_there(scores: list[float], seconds: float, count: int) -> None:
    times = [seconds * k / len(scores) for k in range(len(scores))]
    chosen = sharpest(scores, times, 0.0, seconds, count)
    assert len(chosen) == min(count, len(scores)) and chosen == sorted(set(chosen)) and set(chosen) <= set(range(len(scores)))
