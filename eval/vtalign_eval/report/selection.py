"""Which conflict groups a page shows: of every kind and aspect alike, the same ones whenever the page is made."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import TypeVar

from vtalign.ids import stable_id

MOST_GROUPS = 12

T = TypeVar("T")


def spread(
    buckets: Mapping[str, Mapping[str, Sequence[T]]], name: Callable[[T], object], most: int = MOST_GROUPS
) -> list[tuple[str, T]]:
    """At most `most` groups with their kind, from `buckets` (kind -> aspect -> groups): one of each bucket, then the next of each.

    Within a bucket by a hash of `name(group)`, which neither favours neighbours nor depends on the order of questions. Sorted by
    aspect in the end, kinds in the order given.
    """
    lined_up = [
        [(aspect, place, kind, group) for group in sorted(groups, key=lambda group: stable_id("group", name(group)))]
        for place, (kind, aspects) in enumerate(buckets.items())
        for aspect, groups in sorted(aspects.items())
    ]
    taken = [entry for turn in zip_longest(*lined_up) for entry in turn if entry is not None][:most]
    return [(kind, group) for _, _, kind, group in sorted(taken, key=lambda entry: entry[:2])]
