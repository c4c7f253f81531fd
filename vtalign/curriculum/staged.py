"""Staged orders: one stage after the other, or stages mixed; (positions, indices of pairs) from stages, length and seed."""

import numpy as np

from vtalign.curriculum.rounds import Rounds, replays_among
from vtalign.curriculum.stages import seeded_uniform


def stage_after_stage(
    stages: np.ndarray, length: int, *, easy_first: bool, replay: float, seed: int
) -> tuple[list[int], list[int]]:
    """(`length` pairs, the stage that training is in at each of them) from the stage of each pair, (n,).

    Every stage has its share of the positions, so that a training that is no whole number of passes shortens or lengthens all of
    them alike. Inside a stage its pairs come in passes, each shuffled anew. Of the first m positions of a stage, m * `replay`
    (the whole part) go to pairs of the stages before it that came already, spread evenly and drawn in passes too.
    """
    sequence = np.unique(stages) if easy_first else np.unique(stages)[::-1]
    replay_draws = seeded_uniform(length, "curriculum-replay", seed)
    familiar = Rounds()
    order: list[int] = []
    met: list[int] = []
    pairs = 0
    for stage in sequence.tolist():
        pairs += int((stages == stage).sum())
        positions = length * pairs // len(stages) - len(order)
        replays = replays_among(positions, replay) if familiar else 0
        own = iter(_passes(stages, stage, positions - replays, seed))
        came: dict[int, None] = {}
        for position in range(positions):
            if replays and replays_among(position + 1, replay) > replays_among(position, replay):
                order.append(familiar.draw(replay_draws[len(order)]))
            else:
                order.append(next(own))
                came[order[-1]] = None
        met += [stage] * positions
        for index in came:
            familiar.add(index)
    return order, met


def random_order(pairs: int, length: int, seed: int) -> list[int]:
    """Passes over all pairs, each shuffled anew, the last one cut off."""
    passes = [np.argsort(_draw(pairs, seed, number), kind="stable") for number in range(-(-length // pairs))]
    return np.concatenate(passes)[:length].tolist()


def mixed_order(stages: np.ndarray, length: int, seed: int) -> list[int]:
    """Passes over all pairs in which every stretch holds the stages in proportion, the last one cut off."""
    passes = [_interleave(stages, _draw(len(stages), seed, number)) for number in range(-(-length // len(stages)))]
    return np.concatenate(passes)[:length].tolist()


def _passes(stages: np.ndarray, stage: int, length: int, seed: int) -> list[int]:
    members = np.flatnonzero(stages == stage)
    passes = [_shuffled(members, _draw(len(stages), seed, number)) for number in range(-(-length // len(members)))]
    return np.concatenate([members[:0], *passes])[:length].tolist()


def _draw(pairs: int, seed: int, number: int) -> np.ndarray:
    """One draw per pair and pass, the same for all orders: they differ in the arrangement alone."""
    return seeded_uniform(pairs, "curriculum-order", seed, number)


def _shuffled(members: np.ndarray, draw: np.ndarray) -> np.ndarray:
    return members[np.argsort(draw[members], kind="stable")]


def _interleave(stages: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """Each stage spread evenly over the pass: its j-th pair of m belongs at (j + 1/2) / m of the way."""
    members = [_shuffled(np.flatnonzero(stages == stage), draw) for stage in np.unique(stages)]
    pairs = np.concatenate(members)
    place = np.concatenate([(np.arange(len(m)) + 0.5) / len(m) for m in members])
    # Which stage comes first where two are due at the same moment is left to the draw.
    return pairs[np.lexsort((draw[pairs], place))]
