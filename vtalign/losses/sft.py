"""Negative log-likelihood of responses, unreduced: the normalisation is chosen by name, never implied.

Which one is meant decides what an SFT weight beside DPO means: TRL's "sft" and the `rpo_alpha` of the ms-swift release that
TEMPLE used are `token_mean` over the chosen responses of a batch; Iterative RPO (arXiv 2404.19733) is `response_means`;
RPO (arXiv 2405.16436) is the plain `nll` of each response.
"""

from typing import NamedTuple

from torch import Tensor

from vtalign.losses.logps import sum_logps


class SFTTerms(NamedTuple):
    """`nll` (N,): negative log-prob of each response, summed over its tokens. `tokens` (N,): how many those are."""

    nll: Tensor
    tokens: Tensor


def sft_loss(logps: Tensor, mask: Tensor) -> SFTTerms:
    """Unreduced NLL of responses from token log-probs (N, L) and their bool mask (N, L)."""
    return SFTTerms(-sum_logps(logps, mask), mask.sum(dim=1))


def token_mean(terms: SFTTerms, total_tokens: Tensor | int) -> Tensor:
    """Scalar: NLL per token, where `total_tokens` counts the whole optimiser step (all ranks, all accumulated batches).

    Shares add up: the sum over parts of a step is the token mean of the step, however it was cut.
    """
    return terms.nll.sum() / total_tokens


def response_means(terms: SFTTerms) -> Tensor:
    """(N,): each response's NLL per token of its own; every response weighs the same. One without tokens gives 0."""
    return terms.nll / terms.tokens.clamp(min=1)
