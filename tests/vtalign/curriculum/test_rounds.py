import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtalign.curriculum.rounds import Rounds, replays_among

UNIFORM = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 9), st.lists(UNIFORM, max_size=40))
def test_every_round_holds_every_member_once(members: int, draws: list[float]) -> None:
    rounds = Rounds()
    for member in range(members):
        rounds.add(member)
    drawn = [rounds.draw(uniform) for uniform in draws]
    for start in range(0, len(drawn) - members + 1, members):
        assert sorted(drawn[start : start + members]) == list(range(members))


@given(UNIFORM, UNIFORM)
def test_one_that_is_added_joins_the_present_round(first: float, second: float) -> None:
    rounds = Rounds()
    rounds.add(0)
    assert not Rounds() and rounds.draw(first) == 0
    rounds.add(1)
    assert rounds.draw(second) == 1 and len(rounds) == 2


def test_a_number_picks_a_member_by_its_place() -> None:
    for uniform, member in ((0.0, 7), (0.49, 7), (0.5, 8), (0.999, 8)):
        rounds = Rounds()
        rounds.add(7)
        rounds.add(8)
        assert rounds.draw(uniform) == member


@pytest.mark.parametrize(("positions", "share", "replays"), [(10, 0.1, 1), (9, 0.1, 0), (10, 0.3, 3), (7, 0.5, 3), (90, 0.7, 63)])
def test_replays_are_the_whole_part_of_their_share(positions: int, share: float, replays: int) -> None:
    assert replays_among(positions, share) == replays
