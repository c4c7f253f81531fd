"""`Rounds`: draws without replacement from a growing set, and where among other pairs a share of replays stands."""

import math


class Rounds:
    """Members are drawn without replacement until all have come, then anew. One that is added later joins the present round."""

    def __init__(self) -> None:
        self._members: list[int] = []
        self._left: list[int] = []

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: int) -> None:
        self._members.append(member)
        self._left.append(member)

    def draw(self, uniform: float) -> int:
        """The member that a number in [0, 1) picks of those that are left in this round."""
        if not self._left:
            self._left = self._members.copy()
        place = int(uniform * len(self._left))
        self._left[place], self._left[-1] = self._left[-1], self._left[place]
        return self._left.pop()


def replays_among(positions: int, share: float) -> int:
    """How many of the first `positions` are replays where `share` of them is spread evenly: the whole part of the product."""
    # 10 * 0.3 and the like come out a hair below a whole number
    return math.floor(positions * share + 1e-9)
