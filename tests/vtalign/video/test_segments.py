from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.errors import InputError
from vtalign.video.segments import check_segments, even_groups, temple_groups


@given(st.data(), st.integers(1, 60))
def test_even_groups_cover_and_differ_by_one_at_most(data: st.DataObject, n: int) -> None:
    count = data.draw(st.integers(1, n))
    groups = even_groups(n, count)
    sizes = [stop - start for start, stop in groups]
    assert len(groups) == count and max(sizes) - min(sizes) <= 1 and check_segments(groups, n) == groups


@given(st.integers(1, 60), st.integers(1, 20))
def test_temple_groups_follow_the_released_code(n: int, strength: int) -> None:
    """lscpku/TEMPLE: `group_size = max(1, n // r)`, lists cut at every group_size, the last one may be short."""
    groups = temple_groups(n, strength)
    size = max(1, n // strength)
    assert check_segments(groups, n) == groups
    assert all(stop - start == size for start, stop in groups[:-1]) and 1 <= groups[-1][1] - groups[-1][0] <= size
    if n >= strength:
        assert strength <= len(groups) < 2 * strength


def test_temple_groups_by_hand() -> None:
    assert temple_groups(11, 4) == ((0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 11))
    assert even_groups(11, 4) == ((0, 2), (2, 5), (5, 8), (8, 11))


@given(st.integers(1, 40))
def test_a_larger_count_gives_no_larger_groups(n: int) -> None:
    largest = [max(stop - start for start, stop in even_groups(n, count)) for count in range(1, n + 1)]
    assert all(a >= b for a, b in pairwise(largest))


@pytest.mark.parametrize(
    ("segments", "says"),
    [
        (((1, 4),), "start at 0"),
        (((0, 2), (3, 4)), "start at 2"),
        (((0, 3), (2, 4)), "start at 3"),
        (((0, 2), (2, 2), (2, 4)), "at least one slot"),
        (((0, 3),), "the view has 4"),
        ((), "the view has 4"),
    ],
)
def test_segments_that_do_not_cover_are_refused(segments: tuple[tuple[int, int], ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_segments(segments, 4)


def test_more_groups_than_things_are_refused() -> None:
    with pytest.raises(InputError, match="cannot split 3 into 4"):
        even_groups(3, 4)
