"""Which examples every optimiser step sees, decided before a stage starts: a pure function of seed and settings.

A step counts examples over all devices; what it contains does not depend on devices or micro-batches, and neither does its loss
(but for the very last step, which is shortened to what the devices divide).
Inside a step, examples about the same video share a micro-batch where they fit, because there they share rows, and micro-batches
are cut so that their token counts are alike: devices wait for the slowest one.
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


@dataclass(frozen=True)
class Load:
    """What an example costs in a forward, in tokens: `shared` once for all examples of one `key` in it, `own` for every one."""

    key: Hashable
    shared: float
    own: float


def require_divisible(per_step: int, devices: int) -> None:
    """Raise InputError where the devices do not divide a step."""
    if per_step % devices:
        raise InputError(f"{per_step} examples a step cannot be shared by {devices} devices; choose a multiple of {devices}")


def plan_steps(order: Sequence[int], loads: Sequence[Load], *, per_step: int, micro_batch: int, devices: int = 1) -> StepPlan:
    """Cut `order` (example indices as they come, repeats included) into steps of `per_step` and those into micro-batches of at most
    `micro_batch` examples, as few as possible and equally many for every device.

    `loads[i]` is the load of example i. The last step is shortened to what the devices divide. Raises InputError where they do not
    divide a step or no step is left.
    """
    require_divisible(per_step, devices)
    accumulation = math.ceil(per_step / devices / micro_batch)
    steps = []
    for start in range(0, len(order), per_step):
        chosen = order[start : start + per_step]
        chosen = chosen[: len(chosen) // devices * devices]
        if not chosen:
            break
        rounds = min(accumulation, math.ceil(len(chosen) / devices / micro_batch))
        cut = balanced(chosen, loads, parts=rounds * devices, most=micro_batch)
        steps.append(_dealt(cut, loads, devices))
    if not steps:
        raise InputError(f"{len(order)} examples are too few for {devices} devices")
    return StepPlan(tuple(steps), accumulation, devices)


def balanced(chosen: Sequence[int], loads: Sequence[Load], *, parts: int, most: int) -> list[list[int]]:
    """`chosen` in `parts` non-empty lists of at most `most` examples with sums of loads that are alike.

    Examples of one key stay together, but where there are more than `most`, fewer keys than parts, or no room left for all of
    them. Needs parts <= len(chosen) <= parts * most. The largest go first, each to where the sum is smallest afterwards.
    """
    alike: dict[Hashable, list[int]] = {}
    for index in chosen:
        alike.setdefault(loads[index].key, []).append(index)
    pieces = [piece for members in alike.values() for piece in _even_parts(members, math.ceil(len(members) / most))]
    while len(pieces) < parts:
        largest = max((piece for piece in pieces if len(piece) > 1), key=lambda piece: cost_of(piece, loads))
        at = pieces.index(largest)
        pieces[at : at + 1] = _even_parts(largest, 2)
    made: list[list[int]] = [[] for _ in range(parts)]
    waiting = sorted(pieces, key=lambda piece: -cost_of(piece, loads))
    for piece in waiting:
        left = piece
        while left:
            room = [part for part in made if len(part) + len(left) <= most]
            if room:
                part = min(room, key=lambda part: (bool(part), cost_of([*part, *left], loads)))
                taken = left
            else:
                part = min(made, key=len)
                taken = left[: most - len(part)]
            part += taken
            left = left[len(taken) :]
    return made


def cost_of(examples: Sequence[int], loads: Sequence[Load]) -> float:
    """Tokens of one forward."""
    shared = {loads[index].key: loads[index].shared for index in examples}
    return sum(shared.values()) + sum(loads[index].own for index in examples)


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


def _dealt(cut: list[list[int]], loads: Sequence[Load], devices: int) -> tuple[tuple[int, ...], ...]:
    """Micro-batches in the order device 0, device 1, .., device 0, ..: those that run at one time are alike in size, and so are the
    sums of the devices."""
    ranked = sorted(cut, key=lambda part: -cost_of(part, loads))
    rounds = [ranked[start : start + devices] for start in range(0, len(ranked), devices)]
    turned = [part for number, together in enumerate(rounds) for part in (together[::-1] if number % 2 else together)]
    return tuple(tuple(part) for part in turned)


def _even_parts(items: list[int], parts: int) -> list[list[int]]:
    """`items` in `parts` runs whose sizes differ by at most one."""
    edges = [len(items) * part // parts for part in range(parts + 1)]
    return [items[start:stop] for start, stop in pairwise(edges)]
