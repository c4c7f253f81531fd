"""How prompts and branches lie in shared rows. The one home of "one video, many continuations".

A row is a tree laid out flat: `[prefix | suffix_0 | branches of suffix_0 .. | suffix_1 | ..]`. The prefix holds the views and
what the prompts of the row have in common, a suffix is the rest of one prompt (empty where all prompts of the row are the same
one), a branch is one response. A token attends to what is before it on its own path, and its position counts along that path:
exactly what it would see alone.

Legend: B rows, L row length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vtalign.errors import InputError
from vtalign.models.encode import EncodedPrompt, about_views
from vtalign.models.positions import TEXT
from vtalign.video.view import VideoView

Branches = list[list[int]]

# Blocks of a tail copy the keys of the prefix, so they should not be many; this many tokens are worth the copy.
_BLOCK = 256


@dataclass(frozen=True)
class Place:
    """Where one given prompt lies: its row, the row indices of its tokens in order, and where each of its branches starts."""

    row: int
    prompt: NDArray[np.int64]
    branches: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """ids, types (B, L) long; positions (axes, B, L) long; one place per given prompt.

    mask (B, T, L) bool, True = attends: the last T positions of every row, what is before them is plain causal text (T = L: all;
    T = 0: every row is one path, a prompt and no more than one response).
    blocks: where the tail can be cut, as `attention.tree_attention` takes it.
    """

    ids: NDArray[np.int64]
    types: NDArray[np.int64]
    positions: NDArray[np.int64]
    mask: NDArray[np.bool_]
    blocks: tuple[int, ...]
    places: list[Place]
    shown: list[VideoView]


def lay_out(given: Sequence[tuple[EncodedPrompt, Branches]], max_positions: int, *, share: bool, dense: bool = False) -> Layout:
    """Right-padded rows of `given` (each a prompt and its branches).

    Prompts that show the same views share a row where that saves tokens; with `share` off every given one has its own row.
    With `dense` the mask has all L rows. Raises InputError where a response runs beyond the model's positions.
    """
    for prompt, branches in given:
        _require_room(prompt, branches, max_positions)
    groups = _groups(given) if share else [[index] for index in range(len(given))]
    rows = [_Tree([given[index] for index in group]) for group in groups]
    B, L = len(rows), max(len(row.ids) for row in rows)
    axes = len(given[0][0].positions)
    ids, types, positions = np.zeros((B, L), np.int64), np.full((B, L), TEXT, np.int64), np.zeros((axes, B, L), np.int64)
    # A row of one path is causal to its end, and what its padding sees is read by nobody: only rows that fork ask for a mask.
    start = 0 if dense else min((row.prefix for row in rows if row.forks), default=L)
    mask = np.zeros((B, L - start, L), dtype=bool)
    mask[:] = np.eye(L, dtype=bool)[start:]  # padding attends to itself at least: a query without any key is not a number
    places: dict[int, Place] = {}
    for number, (row, group) in enumerate(zip(rows, groups, strict=True)):
        size = len(row.ids)
        ids[number, :size], types[number, :size], positions[:, number, :size] = row.ids, row.types, row.positions
        if size > start:
            mask[number, : size - start, :size] = tree_mask(np.asarray(row.nodes), row.parents, start)
        places.update((index, Place(number, *place)) for index, place in zip(group, row.places, strict=True))
    in_order, shown = [places[index] for index in range(len(given))], [view for row in rows for view in row.views]
    return Layout(ids, types, positions, mask, () if dense or start == L else _blocks(rows, L), in_order, shown)


def _require_room(prompt: EncodedPrompt, branches: Branches, max_positions: int) -> None:
    longest = max(map(len, branches), default=0)
    needed = max(int(prompt.positions.max()), int(prompt.positions[:, -1].max()) + longest) + 1
    if needed > max_positions:
        about = about_views(prompt.views) or "to a prompt of text alone"
        raise InputError(
            f"a response {about} of {longest} tokens needs {needed} positions with its prompt, the model has {max_positions}"
        )


def tree_mask(nodes_L: NDArray[np.int64], parents: list[int], start: int = 0) -> NDArray[np.bool_]:
    """bool (L - start, L): a token of node n attends to earlier tokens of n and of n's ancestors. `parents[0]` is -1 (the root)."""
    sees = np.eye(len(parents), dtype=bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            sees[node] |= sees[parent]
    index = np.arange(len(nodes_L))
    return (index[start:, None] >= index) & sees[nodes_L[start:]][:, nodes_L]


class _Tree:
    """One row under construction."""

    def __init__(self, members: list[tuple[EncodedPrompt, Branches]]) -> None:
        first = members[0][0]
        self.views = first.views
        cut = _common_prefix([prompt.ids for prompt, _ in members])
        self.prefix = cut
        self.ids: list[int] = first.ids[:cut].tolist()
        self.types: list[int] = first.types[:cut].tolist()
        self._positions: list[NDArray[np.int64]] = [first.positions[:, :cut]]
        self.nodes: list[int] = [0] * cut
        self.parents = [-1]
        self.subtrees: list[int] = []  # where what sees nothing of its neighbours starts
        places: dict[int, tuple[NDArray[np.int64], tuple[int, ...]]] = {}
        for alike in self._by_suffix(members, cut):
            prompt = members[alike[0]][0]
            node, start = self._add(0, prompt.ids[cut:].tolist(), prompt.types[cut:].tolist(), prompt.positions[:, cut:])
            path = np.concatenate([np.arange(cut), np.arange(start, len(self.ids))])
            stem = len(path) > cut
            if stem:
                self.subtrees.append(start)
            for index in alike:
                starts = []
                for branch in members[index][1]:
                    # every axis goes on from the last prompt token, never from the largest position nor from the row index
                    positions = prompt.positions[:, -1:] + 1 + np.arange(len(branch))
                    starts.append(self._add(node, branch, [TEXT] * len(branch), positions)[1])
                places[index] = path, tuple(starts)
                self.subtrees += [] if stem else starts
        self.places = [places[index] for index in range(len(members))]

    @staticmethod
    def _by_suffix(members: list[tuple[EncodedPrompt, Branches]], cut: int) -> list[list[int]]:
        """Indices of members whose prompts are the same, together: what hangs on one suffix lies in one piece."""
        alike: dict[bytes, list[int]] = {}
        for index, (prompt, _) in enumerate(members):
            alike.setdefault(prompt.ids[cut:].tobytes(), []).append(index)
        return list(alike.values())

    @property
    def forks(self) -> bool:
        """Whether some token does not see all before it."""
        return self.parents != list(range(-1, len(self.parents) - 1))

    @property
    def positions(self) -> NDArray[np.int64]:
        return np.concatenate(self._positions, axis=1)

    def _add(self, parent: int, ids: list[int], types: list[int], positions: NDArray[np.int64]) -> tuple[int, int]:
        """Append a node; its number and where it starts."""
        node, start = len(self.parents), len(self.ids)
        self.parents.append(parent)
        self.ids += ids
        self.types += types
        self.nodes += [node] * len(ids)
        self._positions.append(positions)
        return node, start


def _blocks(rows: list[_Tree], length: int) -> tuple[int, ...]:
    """Where all rows can be cut: every row starts a subtree there or has ended. Blocks of at least `_BLOCK` tokens; () for one."""
    first = max(row.prefix for row in rows)
    places = sorted({start for row in rows for start in row.subtrees if start >= first})
    common = [at for at in places if all(at in row.subtrees or at >= len(row.ids) for row in rows)]
    if not common:
        return ()
    kept = common[:1]
    for at in [*common[1:], length]:
        if at - kept[-1] >= _BLOCK:
            kept.append(at)
    # what is left over joins the last block
    return (*kept[:-1], length) if len(kept) > 2 else ()


def _common_prefix(ids: list[NDArray[np.int64]]) -> int:
    length = min(map(len, ids))
    differs = np.zeros(length, dtype=bool)
    for other in ids[1:]:
        differs |= other[:length] != ids[0][:length]
    return int(differs.argmax()) if differs.any() else length


def _groups(given: Sequence[tuple[EncodedPrompt, Branches]]) -> list[list[int]]:
    """Which given prompts share a row: those that show the same views (text alone: the same text), in the given order.

    At most so many to a row as makes the padded batch smallest: one long row would make padding of all the others.
    """
    alike: dict[object, list[int]] = {}
    for index, (prompt, _) in enumerate(given):
        cut = _end_of_views(prompt)
        alike.setdefault((prompt.views, prompt.ids[:cut].tobytes()), []).append(index)
    extra = [sum(map(len, branches)) for _, branches in given]
    best: tuple[int, list[list[int]]] | None = None
    cap = max(map(len, alike.values()))
    while cap >= 1:
        groups = [members[at : at + cap] for members in alike.values() for at in range(0, len(members), cap)]
        sizes = []
        for group in groups:
            cut = _end_of_views(given[group[0]][0])
            sizes.append(cut + sum(len(given[index][0]) - cut + extra[index] for index in group))
        cost = max(sizes) * len(groups)
        if best is None or cost < best[0]:
            best = cost, groups
        cap //= 2
    assert best is not None
    return best[1]


def _end_of_views(prompt: EncodedPrompt) -> int:
    """Length of the part that ends with the last visual token; all of a prompt without views."""
    visual = np.flatnonzero(prompt.types != TEXT)
    return int(visual[-1]) + 1 if len(visual) else len(prompt)
