"""What one forward says of the responses in a batch of rows, and how it compares rows: log-probs, hidden states, divergences.

Legend: N branches, T longest branch, K kept positions, V vocabulary, D hidden size, n tokens of one response.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from vtalign.errors import InputError
from vtalign.models.divergence import jensen_shannon, kullback_leibler
from vtalign.models.requests import ResponseScore, Row
from vtalign.models.rows import RowBatch, kept_states

# Positions whose whole distributions are in memory as float32 at once: 39 MB for a vocabulary of 152k.
_POSITIONS = 64


def score_batch(model: nn.Module, batch: RowBatch) -> tuple[list[list[ResponseScore]], list[torch.Tensor]]:
    """Scores of every response of every given row, and the hidden states (n, D) that predict the first response of each row."""
    logits_KV, hidden_KD = kept_states(model, batch)
    normaliser_K = torch.cat([piece.float().logsumexp(-1) for piece in logits_KV.split(_POSITIONS)])
    logps_NT = logits_KV[batch.kept_index, batch.targets].float() - normaliser_K[batch.kept_index]
    states_NTD = hidden_KD[batch.kept_index].float().masked_fill(~batch.target_mask[..., None], 0.0)
    sums_ND = states_NTD.sum(1).cpu().double()
    counts = batch.target_mask.sum(-1).tolist()
    logps = logps_NT.cpu().numpy()
    scores, firsts, start = [], [], 0
    for size in batch.branches:
        branches = range(start, start + size)
        products = (sums_ND[start : start + size] @ sums_ND[start]).tolist()
        scores.append([ResponseScore(logps[n, : counts[n]], product) for n, product in zip(branches, products, strict=True)])
        firsts.append(hidden_KD[batch.kept_index[start, : counts[start]]])
        start += size
    return scores, firsts


class RowComparison:
    """Compares first responses of rows with those of other rows, in whatever order the batches come.

    `against` maps a row to the one that it is compared with, `unembed` hidden states (.., D) to logits (.., V). Hidden states are
    held until the last row that needs them has come: they are small, where distributions would be as large as the vocabulary.
    """

    def __init__(self, against: Mapping[int, int], unembed: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._against, self._unembed = against, unembed
        self._awaited: dict[int, set[int]] = {}
        for index, base in against.items():
            self._awaited.setdefault(index, set()).add(base)
            self._awaited.setdefault(base, set()).add(index)
        self._held: dict[int, torch.Tensor] = {}
        self._divergences: dict[int, tuple[torch.Tensor, float]] = {}

    def add(self, indices: Sequence[int], firsts: Sequence[torch.Tensor]) -> None:
        """Hear of the first responses (see `score_batch`) of rows of one batch."""
        self._held.update({index: first for index, first in zip(indices, firsts, strict=True) if index in self._awaited})
        for index in indices:
            for other in sorted(self._awaited.get(index, set()) & self._held.keys()):
                for row, base in ((index, other), (other, index)):
                    if self._against.get(row) == base:
                        self._divergences[row] = self._compare(self._held[base], self._held[row])
                self._settle(index, other)
                self._settle(other, index)

    def score(self, index: int, responses: list[ResponseScore]) -> list[ResponseScore]:
        """`responses` of the row, with divergences where it was compared."""
        if index not in self._divergences:
            return responses
        per_token, first = self._divergences[index]
        return [replace(responses[0], token_divergences=per_token.numpy(), first_token_kl=first), *responses[1:]]

    def _settle(self, index: int, other: int) -> None:
        self._awaited[index].discard(other)
        if not self._awaited[index]:
            del self._awaited[index], self._held[index]

    def _compare(self, base_nD: torch.Tensor, row_nD: torch.Tensor) -> tuple[torch.Tensor, float]:
        per_token: list[torch.Tensor] = []
        first = 0.0
        for base, row in zip(base_nD.split(_POSITIONS), row_nD.split(_POSITIONS), strict=True):
            expected, found = self._unembed(base), self._unembed(row)
            if not per_token:
                first = float(kullback_leibler(expected[:1], found[:1]))
            per_token.append(jensen_shannon(expected, found))
        return torch.cat(per_token).cpu(), first


def check_comparable(rows: Sequence[Row], against: Mapping[int, int]) -> None:
    """Raise InputError unless every row of `against` has the first response of the row it is compared with."""
    for index, base in against.items():
        if index == base or rows[index].responses[:1] != rows[base].responses[:1]:
            raise InputError(f"rows {index} and {base} cannot be compared: they must be two rows with the same first response")
