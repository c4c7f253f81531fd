"""Groups of shots that look alike, and TEMPLE's rules on them (lscpku/TEMPLE, preprocess.py and tools/similarity.py)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from vtalign_data.shots import Broken
from vtalign_data.video_selection_config import GroupConfig

GROUP_RULES = ("too_few_groups", "group_share", "group_recurs")
"""Reasons for which a video is filtered by its groups, in the order in which they are looked at."""


@dataclass(frozen=True)
class Run:
    """Neighbouring shots `start:stop` (indices of the shots that were kept) of one group."""

    group: int
    start: int
    stop: int


def similarity_matrix(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosines (n, n) of embeddings (n, D)."""
    vectors = embeddings.astype(np.float64)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.clip(vectors @ vectors.T, -1.0, 1.0)


def group_labels(similarity: NDArray[np.float64], threshold: float) -> list[int]:
    """The group of each item, numbered by first appearance.

    The two most similar groups are merged while they are more similar than `threshold`; what a merged group is like is the mean of
    what its two parts were like (WPGMA, as in TEMPLE's `merge_items`).
    """
    if len(similarity) < 2:
        return [0] * len(similarity)
    distance = 1 - np.minimum(similarity, similarity.T)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance.clip(min=0), checks=False), method="weighted")
    # "more similar" is strict, and fcluster's bound is not
    found = fcluster(tree, np.nextafter(1 - threshold, -np.inf), criterion="distance")
    numbers: dict[int, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in found.tolist()]


def runs_of(labels: Sequence[int]) -> list[Run]:
    """Neighbours of one group together."""
    runs = []
    for label, members in groupby(range(len(labels)), key=lambda index: labels[index]):
        indices = list(members)
        runs.append(Run(label, indices[0], indices[-1] + 1))
    return runs


def group_rule(runs: Sequence[Run], config: GroupConfig) -> Broken | None:
    """Which rule says that a video of these runs is not used: too few, or scenes that return so often that order says little."""
    if len(runs) < config.min_clips:
        return Broken(
            "too_few_groups",
            f"{len(runs)} clip(s) after merging shots that look alike, clips.groups.min_clips is {config.min_clips}",
        )
    most = max(Counter(run.group for run in runs).values())
    allowed = max(1, len(runs) // config.recurrence_divisor)
    if most > allowed:
        return Broken(
            "group_share", f"one scene is {most} of {len(runs)} clips, at most {allowed} by clips.groups.recurrence_divisor"
        )
    if most > config.max_recurrence:
        return Broken("group_recurs", f"one scene is {most} clips, clips.groups.max_recurrence is {config.max_recurrence}")
    return None
