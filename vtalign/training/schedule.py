"""Which examples every optimiser step sees, decided before a stage starts: a pure function of seed and settings.

A step counts examples over all devices. Inside a step, examples about the same video are put side by side, so that they share
rows; what a step contains does not depend on devices or micro-batches, and neither does its loss.
"""

import math
import random
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch.utils.data import Sampler

from vtalign.errors import InputError
from vtalign.ids import seed_from


@dataclass(frozen=True)
class StepPlan:
    """`steps[s]` holds the micro-batches (tuples of indices) of step s in the order device 0, device 1, .., device 0, ..

    Every step but the last has `accumulation * devices` of them; the last has as many for every device as its examples need.
    """

    steps: tuple[tuple[tuple[int, ...], ...], ...]
    accumulation: int
    devices: int

    @property
    def examples(self) -> int:
        """How many examples are seen, repeats counted."""
        return sum(len(micro) for step in self.steps for micro in step)

    def for_device(self, rank: int) -> list[tuple[int, ...]]:
        """The micro-batches of one device, all steps in a row."""
        return [micro for step in self.steps for micro in step[rank :: self.devices]]


class PlannedBatches(Sampler[list[int]]):
    """A batch sampler over decided micro-batches. What resume skips here is never decoded."""

    def __init__(self, micro_batches: Sequence[tuple[int, ...]]) -> None:
        self._micro_batches = micro_batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(list(micro) for micro in self._micro_batches)

    def __len__(self) -> int:
        return len(self._micro_batches)


def plan_steps(order: Sequence[int], keys: Sequence[Hashable], *, per_step: int, micro_batch: int, devices: int = 1) -> StepPlan:
    """Cut `order` (example indices as they come, repeats included) into steps of `per_step` and those into micro-batches.

    `keys[i]` says what example i shares a row with; equal keys of a step are neighbours. The last step is shortened to what the
    devices divide. Raises InputError where they do not divide a step or no step is left.
    """
    if per_step % devices:
        raise InputError(f"{per_step} examples a step cannot be shared by {devices} devices; choose a multiple of {devices}")
    accumulation = math.ceil(per_step / devices / micro_batch)
    steps = []
    for start in range(0, len(order), per_step):
        chosen = order[start : start + per_step]
        chosen = chosen[: len(chosen) // devices * devices]
        if not chosen:
            break
        first_seen: dict[Hashable, int] = {}
        for position, index in enumerate(chosen):
            first_seen.setdefault(keys[index], position)
        together = sorted(chosen, key=lambda index: first_seen[keys[index]])
        rounds = min(accumulation, math.ceil(len(together) / devices / micro_batch))
        steps.append(_even_parts(together, rounds * devices))
    if not steps:
        raise InputError(f"{len(order)} examples are too few for {devices} devices")
    return StepPlan(tuple(steps), accumulation, devices)


def epochs_in_random_order(count: int, wanted: int, seed: int) -> list[int]:
    """`wanted` indices below `count`: whole passes in fresh random orders, the last one cut off."""
    order: list[int] = []
    while len(order) < wanted:
        epoch = list(range(count))
        random.Random(seed_from("epoch", seed, len(order) // count)).shuffle(epoch)
        order += epoch
    return order[:wanted]


def examples_wanted(count: int, per_step: int, *, epochs: float | None, max_steps: int | None) -> int:
    """How many examples a stage sees, repeats counted."""
    return max_steps * per_step if max_steps is not None else max(1, round((epochs if epochs is not None else 1.0) * count))


def _even_parts(items: list[int], parts: int) -> tuple[tuple[int, ...], ...]:
    """`items` in `parts` runs whose sizes differ by at most one."""
    edges = [len(items) * part // parts for part in range(parts + 1)]
    return tuple(tuple(items[start:stop]) for start, stop in pairwise(edges))
