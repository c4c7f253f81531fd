import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign_data.shots import COUNT_RULES, SHOT_RULES, Shot, count_rule, middle, shot_rule, shots_between
from vtalign_data.video_selection_config import ShotConfig

TEMPLE = ShotConfig()


def shot(seconds: float = 2.0, grey_range: int = 200) -> Shot:
    return Shot(number=0, first=0, stop=10, start=1.0, end=1.0 + seconds, grey_range=grey_range)


def flat(*levels: int) -> np.ndarray:
    return np.stack([np.full((6, 8, 3), level, np.uint8) for level in levels])


def test_shots_lie_between_cuts() -> None:
    times = [k / 10 for k in range(10)]
    frames = flat(0, 9, 50, 50, 50)
    shots = shots_between([4, 8], times, 1.0, frames, [0, 2, 4, 6, 8])
    assert [(s.number, s.first, s.stop) for s in shots] == [(0, 0, 4), (1, 4, 8), (2, 8, 10)]
    assert [(s.start, s.end) for s in shots] == [(0.0, 0.4), (0.4, 0.8), (0.8, 1.0)]
    assert [s.grey_range for s in shots] == [9, 0, 0]  # over all frames of a shot, as in TEMPLE
    assert shots_between([], times, 1.0, frames, [0, 2, 4, 6, 8]) == shots_between([0], times, 1.0, frames, [0, 2, 4, 6, 8])


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (shot(), None),
        (shot(seconds=0.2), None),
        (shot(seconds=0.19), "shot_too_short"),
        (shot(grey_range=10), None),
        (shot(grey_range=9), "low_contrast"),
        (shot(seconds=0.1, grey_range=0), "shot_too_short"),
    ],
)
def test_rules_on_a_shot_at_temples_values(found: Shot, reason: str | None) -> None:
    broken = shot_rule(found, TEMPLE)
    assert (broken.reason if broken else None) == reason
    assert reason is None or reason in SHOT_RULES


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        ([2.0] * 4, None),
        ([2.0] * 32, None),
        ([2.0] * 3, "too_few_shots"),
        ([], "too_few_shots"),
        ([2.0] * 33, "too_many_shots"),
        ([2.0, 16.0, 2.0, 2.0], None),
        ([2.0, 16.1, 2.0, 2.0], "shot_too_long"),
    ],
)
def test_rules_on_the_shots_of_a_video_at_temples_values(seconds: list[float], reason: str | None) -> None:
    broken = count_rule(seconds, TEMPLE)
    assert (broken.reason if broken else None) == reason
    assert reason is None or reason in COUNT_RULES


@given(st.integers(1, 60), st.sets(st.integers(1, 59)), st.integers(1, 7))
def test_shots_cover_the_video_and_each_has_a_middle(length: int, cuts: set[int], step: int) -> None:
    times = [k / 25 for k in range(length)]
    ordinals = list(range(0, length, step))
    inside = sorted(cut for cut in cuts if cut in ordinals)  # cuts are found at frames that were looked at
    shots = shots_between(inside, times, length / 25, flat(*([0] * len(ordinals))), ordinals)
    assert [s.first for s in shots] == [0, *inside] and [s.stop for s in shots] == [*inside, length]
    assert sum(s.seconds for s in shots) == pytest.approx(length / 25)
    for s in shots:
        assert s.first <= ordinals[middle(s, ordinals, times)] < s.stop
