"""The loss of one micro-batch as its share of the whole optimiser step, and the sums that metrics are made of.

Legend: n pairs of the micro-batch, N branches, T longest response.
"""

from dataclasses import dataclass

import torch

from vtalign.losses import dpo_loss, sft_loss, sum_logps, token_mean
from vtalign.training.collator import PairBatch, SFTBatch
from vtalign.training.config import DPOStage

SumOf = dict[str, float | torch.Tensor]


@dataclass(frozen=True)
class StepTotals:
    """Of a whole optimiser step, over all its micro-batches and devices: examples, and response tokens that count for the NLL."""

    examples: int
    tokens: int


def dpo_share(
    logps_NT: torch.Tensor, mask_NT: torch.Tensor, batch: PairBatch, totals: StepTotals, stage: DPOStage
) -> tuple[torch.Tensor, SumOf]:
    """(scalar loss, sums). Shares of a step add up to mean DPO loss of its pairs + sft_weight * mean NLL of its chosen tokens.

    Every pair counts its chosen response, so the result does not depend on how pairs are grouped into rows.
    """
    sums_N = sum_logps(logps_NT, mask_NT)
    chosen, rejected = sums_N[batch.chosen], sums_N[batch.rejected]
    terms = dpo_loss(
        chosen, rejected, batch.reference[:, 0], batch.reference[:, 1], beta=stage.beta, label_smoothing=stage.label_smoothing
    )
    loss = terms.losses.sum() / totals.examples
    if stage.sft_weight:
        chosen_nll = sft_loss(logps_NT[batch.chosen], mask_NT[batch.chosen])
        loss = loss + stage.sft_weight * token_mean(chosen_nll, totals.tokens)
    margins = terms.chosen_rewards - terms.rejected_rewards
    sums: SumOf = {
        "pairs": batch.count,
        "tokens": batch.tokens,
        "groups": batch.groups,
        "dpo_loss": terms.losses.detach().sum(),
        "nll": -chosen.detach().sum(),
        "rewards/chosen": terms.chosen_rewards.detach().sum(),
        "rewards/rejected": terms.rejected_rewards.detach().sum(),
        "rewards/margins": margins.detach().sum(),
        "rewards/accuracies": (margins.detach() > 0).sum(),
        "logps/chosen": chosen.detach().sum(),
        "logps/rejected": rejected.detach().sum(),
        "curriculum/stage": batch.levels,
    }
    return loss, sums


def sft_share(logps_NT: torch.Tensor, mask_NT: torch.Tensor, batch: SFTBatch, totals: StepTotals) -> tuple[torch.Tensor, SumOf]:
    """(scalar loss, sums). Shares of a step add up to the mean NLL over its response tokens."""
    terms = sft_loss(logps_NT, mask_NT)
    return token_mean(terms, totals.tokens), {"rows": batch.count, "tokens": batch.tokens, "nll": terms.nll.detach().sum()}


def dpo_metrics(sums: dict[str, float]) -> dict[str, float]:
    """Means under the names that other preference trainers log."""
    means = {name: value / sums["pairs"] for name, value in sums.items() if "/" in name or name == "dpo_loss"}
    return {**means, "sft_loss": sums["nll"] / sums["tokens"], "mean_group_size": sums["pairs"] / sums["groups"]}


def sft_metrics(sums: dict[str, float]) -> dict[str, float]:
    return {"sft_loss": sums["nll"] / sums["tokens"]}
