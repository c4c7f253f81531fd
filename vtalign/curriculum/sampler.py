"""`CurriculumSampler`: the order in which training meets the pairs, resumable anywhere."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from torch.utils.data import Sampler

from vtalign.curriculum.pacing import Growth, paced_order
from vtalign.curriculum.staged import mixed_order, random_order, stage_after_stage
from vtalign.curriculum.stages import equal_stages, from_easy_to_hard, seeded_uniform, stages_by_value
from vtalign.errors import InputError
from vtalign.ids import stable_id

Order = Literal["easy_to_hard", "hard_to_easy", "random", "mixed"]
Pacing = Literal["staged", Growth]

_QUARTERS = 4


class CurriculumSampler(Sampler[int]):
    """Indices of pairs in curriculum order, `length` in all (default: one pass over the pairs).

    `order`, with `pacing="staged"`:

    - `easy_to_hard`: stage after stage; inside a stage shuffled, anew in each pass. With a length of several passes a stage comes
      so many times before the next begins, so that the whole training is one curriculum (TEMPLE), not one that starts over.
    - `hard_to_easy`: the stages in reversed order, otherwise the same (the control for the direction).
    - `random`: every pass one shuffle of everything (the control for having stages at all).
    - `mixed`: every stretch of training holds the stages in proportion, shuffled inside a stage (random without its luck).

    With any other `pacing` there are no stages: an open share of the pairs grows from `start` (see `open_share`), and pairs are
    drawn from it (see `paced_order`). Then `easy_to_hard` opens the easiest first, `hard_to_easy` the hardest, `random` any (the
    control that has the pacing, but no difficulty), and there is nothing to be `mixed`.

    `stages`: how many stages of equal size, or "by_value" for one per distinct difficulty. `replay`: share of the positions that
    go to pairs met before, of the stages before or of the half that opened first; the length stays, so other pairs give way.

    The order is one global list, decided by the arguments alone. It knows nothing of ranks: hand it to a DataLoader and
    accelerate deals its batches out, so that any number of ranks trains on the same pairs in the same optimiser step. Train for
    ONE epoch of it; passes are in `length`. Raises InputError for settings that cannot be and difficulties that are not numbers.
    """

    def __init__(
        self,
        difficulties: Sequence[float],
        *,
        order: Order = "easy_to_hard",
        pacing: Pacing = "staged",
        stages: int | Literal["by_value"] = "by_value",
        start: float = 0.25,
        duration: float = 1.0,
        replay: float = 0.0,
        length: int | None = None,
        seed: int = 0,
    ) -> None:
        _require_possible(order, pacing, start, duration, replay)
        self.pair_stages = _stages_of_pairs(difficulties, pacing, stages, seed)
        """Stage of each pair, 0 the easiest; with continuous pacing its quarter of the difficulties."""
        positions = len(difficulties) if length is None else length
        if positions < 1:
            raise InputError(f"curriculum length: should be at least 1, got {length}")
        if pacing != "staged":
            opening = _opening(difficulties, order, seed)
            self._indices = paced_order(opening, positions, pacing, start=start, duration=duration, replay=replay, seed=seed)
            self._stages = [self.pair_stages[index] for index in self._indices]
        elif order == "easy_to_hard" or order == "hard_to_easy":
            self._indices, self._stages = stage_after_stage(
                np.asarray(self.pair_stages), positions, easy_first=order == "easy_to_hard", replay=replay, seed=seed
            )
        else:
            of_pairs = np.asarray(self.pair_stages)
            mixed = order == "mixed"
            self._indices = mixed_order(of_pairs, positions, seed) if mixed else random_order(len(of_pairs), positions, seed)
            self._stages = [self.pair_stages[index] for index in self._indices]
        settings = [order, pacing, stages, start, duration, replay, positions, seed]
        self._identity = stable_id("curriculum", [float(d) for d in difficulties], *settings)
        self._start = 0
        self._position = 0

    @property
    def num_stages(self) -> int:
        return max(self.pair_stages) + 1

    @property
    def indices(self) -> list[int]:
        """The whole order, from the first position to the last."""
        return list(self._indices)

    def stage_at(self, position: int) -> int:
        """The stage that training is in at `position` of the order; where stages do not follow each other, that of the pair."""
        return self._stages[position]

    def __len__(self) -> int:
        """Positions in all, whether or not a resumed run has some of them behind it."""
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        """From the beginning or, once after `load_state_dict`, from where that state was."""
        self._position, self._start = self._start, 0
        while self._position < len(self._indices):
            self._position += 1
            yield self._indices[self._position - 1]

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
                "curriculum state: belongs to another curriculum (pairs, difficulties, order, pacing, stages, replay, length or "
                "seed differ); resume with the settings of the run, or start anew"
            )
        self._start = self._position = self.state_at(state["position"])["position"]


def _require_possible(order: str, pacing: str, start: float, duration: float, replay: float) -> None:
    for name, value, known in (("order", order, get_args(Order)), ("pacing", pacing, get_args(Pacing))):
        if value not in known:
            raise InputError(f"curriculum {name}: should be one of {', '.join(known)}, got '{value}'")
    for name, number, possible in (
        ("start", start, 0 < start <= 1),
        ("duration", duration, 0 < duration <= 1),
        ("replay", replay, 0 <= replay < 1),
    ):
        if not possible:
            raise InputError(f"curriculum {name}: should be a share of one, got {number}")
    if pacing != "staged" and order == "mixed":
        raise InputError(f"curriculum order mixed: there are no stages to mix with {pacing} pacing; use staged")
    if pacing == "staged" and order in ("random", "mixed") and replay:
        raise InputError(f"curriculum replay: order {order} has no earlier stage to replay from; leave it at 0")


def _stages_of_pairs(difficulties: Sequence[float], pacing: Pacing, stages: int | Literal["by_value"], seed: int) -> list[int]:
    if pacing != "staged":
        # training has none, but a log says how hard the pairs are that it meets
        return equal_stages(difficulties, min(_QUARTERS, len(difficulties)), seed=seed)
    return stages_by_value(difficulties) if stages == "by_value" else equal_stages(difficulties, stages, seed=seed)


def _opening(difficulties: Sequence[float], order: Order, seed: int) -> list[int]:
    """The pairs in the order in which they open."""
    if order == "random":
        return np.argsort(seeded_uniform(len(difficulties), "curriculum-opening", seed), kind="stable").tolist()
    ordered = from_easy_to_hard(difficulties, seed=seed)
    return (ordered if order == "easy_to_hard" else ordered[::-1]).tolist()
