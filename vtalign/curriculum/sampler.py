"""`CurriculumSampler`: the order in which training meets the pairs, resumable anywhere."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from torch.utils.data import Sampler

from vtalign.curriculum.stages import equal_stages, seeded_uniform, stages_by_value
from vtalign.errors import InputError
from vtalign.ids import stable_id

Order = Literal["easy_to_hard", "hard_to_easy", "random", "mixed"]


class CurriculumSampler(Sampler[int]):
    """Indices of pairs in curriculum order; every pair comes `epochs` times.

    `order`:

    - `easy_to_hard`: stage after stage; inside a stage shuffled, anew in each of its epochs. A stage is repeated `epochs` times
      before the next begins, so that the whole training is one curriculum (TEMPLE), not one that starts over.
    - `hard_to_easy`: the stages in reversed order, otherwise the same (the control for the direction).
    - `random`: every epoch one shuffle of everything (the control for having stages at all).
    - `mixed`: every stretch of training holds the stages in proportion, shuffled inside a stage (random without its luck).

    `stages`: how many stages of equal size, or "by_value" for one per distinct difficulty.

    The order is one global list, decided by the arguments alone. It knows nothing of ranks: hand it to a DataLoader and
    accelerate deals its batches out, so that any number of ranks trains on the same pairs in the same optimiser step. Train for
    ONE epoch of it; epochs are counted here.
    """

    def __init__(
        self,
        difficulties: Sequence[float],
        *,
        order: Order = "easy_to_hard",
        stages: int | Literal["by_value"] = "by_value",
        epochs: int = 1,
        seed: int = 0,
    ) -> None:
        if order not in get_args(Order):
            raise InputError(f"curriculum order: should be one of {', '.join(get_args(Order))}, got '{order}'")
        if epochs < 1:
            raise InputError(f"curriculum epochs: should be at least 1, got {epochs}")
        self.pair_stages = (
            stages_by_value(difficulties) if stages == "by_value" else equal_stages(difficulties, stages, seed=seed)
        )
        """Stage of each pair, 0 the easiest."""
        self._indices = _arrange(np.asarray(self.pair_stages), order, epochs, seed)
        self._identity = stable_id("curriculum", [float(d) for d in difficulties], order, stages, epochs, seed)
        self._start = 0
        self._position = 0

    @property
    def num_stages(self) -> int:
        return max(self.pair_stages) + 1

    @property
    def indices(self) -> list[int]:
        """The whole order, from the first position to the last."""
        return self._indices.tolist()

    def stage_at(self, position: int) -> int:
        """Stage of the pair at `position` of the order, for logging."""
        return self.pair_stages[self._indices[position]]

    def __len__(self) -> int:
        """Positions in all: pairs times epochs, whether or not a resumed run has some of them behind it."""
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        """From the beginning or, once after `load_state_dict`, from where that state was."""
        self._position, self._start = self._start, 0
        while self._position < len(self._indices):
            self._position += 1
            yield int(self._indices[self._position - 1])

    def state_dict(self) -> dict[str, Any]:
        """How many indices were handed out. A DataLoader that prefetches draws ahead of training: see `state_at`."""
        return self.state_at(self._position)

    def state_at(self, position: int) -> dict[str, Any]:
        """The state of a run that has trained on the first `position` indices."""
        if not 0 <= position <= len(self):
            raise InputError(f"curriculum position: should be between 0 and {len(self)}, got {position}")
        return {"position": position, "curriculum": self._identity}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next iteration goes on at `state`. InputError where it belongs to other pairs, another order or another seed."""
        if state["curriculum"] != self._identity:
            raise InputError(
                "curriculum state: belongs to another curriculum (pairs, difficulties, order, stages, epochs or seed differ); "
                "resume with the settings of the run, or start anew"
            )
        self._start = self._position = self.state_at(state["position"])["position"]


def _arrange(stages: np.ndarray, order: Order, epochs: int, seed: int) -> np.ndarray:
    """The order as pair indices, (epochs * len(stages),)."""
    # One draw per pair and epoch, the same for all orders: they differ in the arrangement alone.
    draws = np.stack([seeded_uniform(len(stages), "curriculum-order", seed, epoch) for epoch in range(epochs)])
    if order == "random":
        return np.argsort(draws, axis=1, kind="stable").reshape(-1)
    if order == "mixed":
        return np.concatenate([_interleave(stages, draw) for draw in draws])
    sequence = np.unique(stages) if order == "easy_to_hard" else np.unique(stages)[::-1]
    return np.concatenate([_shuffled(stages, stage, draw) for stage in sequence for draw in draws])


def _shuffled(stages: np.ndarray, stage: int, draw: np.ndarray) -> np.ndarray:
    members = np.flatnonzero(stages == stage)
    return members[np.argsort(draw[members], kind="stable")]


def _interleave(stages: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """Each stage spread evenly over the epoch: its j-th pair of m belongs at (j + 1/2) / m of the way."""
    members = [_shuffled(stages, stage, draw) for stage in np.unique(stages)]
    pairs = np.concatenate(members)
    place = np.concatenate([(np.arange(len(m)) + 0.5) / len(m) for m in members])
    # Which stage comes first where two are due at the same moment is left to the draw.
    return pairs[np.lexsort((draw[pairs], place))]
