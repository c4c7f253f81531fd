"""The loss of one micro-batch as its share of the whole optimiser step, and the sums that metrics are made of.

Legend: n pairs of the micro-batch, N branches, T longest response, K kept positions, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from vtalign.losses import PreferenceLogps, sft_loss, sum_logps, token_kl, token_mean
from vtalign.models.rows import RowBatch, row_logits, target_logps
from vtalign.training.collator import PairBatch, SFTBatch
from vtalign.training.config import PreferenceStage
from vtalign.training.data import Side
from vtalign.training.live_reference import LiveReference
from vtalign.training.terms import term_losses

SumOf = dict[str, float | torch.Tensor]


@dataclass(frozen=True)
class StepTotals:
    """Of a whole optimiser step, over all its micro-batches and devices: pairs (rows), and response tokens that count for the NLL."""

    examples: int
    tokens: int


@dataclass(frozen=True)
class Share:
    """What a micro-batch adds to its step: a scalar loss, sums for the metrics, and the reward margin (n,) of its pairs, if any."""

    loss: torch.Tensor
    sums: SumOf
    margins: torch.Tensor | None = None


class Objective(Protocol):
    """A model and a micro-batch (with `rows` to read) -> its share of the step."""

    def __call__(self, model: Any, batch: Any, rows: RowBatch, totals: StepTotals) -> Share: ...

    def metrics(self, sums: dict[str, float]) -> dict[str, float]: ...


@dataclass(frozen=True)
class SFTObjective:
    """Shares of a step add up to the mean NLL over its response tokens."""

    def __call__(self, model: Any, batch: SFTBatch, rows: RowBatch, totals: StepTotals) -> Share:
        terms = sft_loss(*target_logps(row_logits(model, rows), rows))
        sums: SumOf = {"rows": batch.count, "tokens": batch.tokens, "nll": terms.nll.detach().sum()}
        return Share(token_mean(terms, totals.tokens), sums)

    def metrics(self, sums: dict[str, float]) -> dict[str, float]:
        return {"sft_loss": sums["nll"] / sums["tokens"]}


@dataclass(frozen=True)
class PreferenceObjective:
    """Shares of a step add up to the weighted means of its terms over its pairs + sft_weight * mean NLL of its chosen tokens.

    Every pair counts its chosen response, so the result does not depend on how pairs are grouped into rows. `live` is the
    reference where the batch does not bring its log-probs.
    """

    stage: PreferenceStage
    live: LiveReference | None = None

    def __call__(self, model: Any, batch: PairBatch, rows: RowBatch, totals: StepTotals) -> Share:
        return self.of(self.read(model, batch, rows), batch, totals)

    def read(self, model: Any, batch: PairBatch, rows: RowBatch) -> PreferenceLogps:
        """What policy and reference say of the pairs; the policy's carries the gradient."""
        reference_KV = None
        if self.live is not None:
            # First, so that nothing of the policy's graph is waiting while the two change places.
            # A model of its own has an encoder of its own: features that the policy's made are not its features.
            asked = batch.rows if self.live.is_another_model else rows
            assert asked is not None
            with torch.no_grad(), self.live.of(model) as reference:
                reference_KV = row_logits(reference, asked)
        policy_KV = row_logits(model, rows)
        logps_NT, mask_NT = target_logps(policy_KV, rows)
        reference_NT = batch.reference if reference_KV is None else target_logps(reference_KV, rows)[0]
        kl = _chosen_kl(policy_KV, reference_KV, rows, batch) if self.stage.reads_distributions else None
        return preference_logps(logps_NT, mask_NT, reference_NT, batch, kl)

    def of(self, given: PreferenceLogps, batch: PairBatch, totals: StepTotals) -> Share:
        """From log-probs to the share."""
        loss = given.policy_chosen.new_zeros(())
        sums: SumOf = {}
        terms = [term_losses(term, given) for term in self.stage.terms]
        for term, found in zip(self.stage.terms, terms, strict=True):
            loss = loss + term.weight * found.losses.sum() / totals.examples
            name = f"loss/{term.kind}"
            sums[name] = sums.get(name, 0.0) + found.losses.detach().sum()
        if self.stage.sft_weight:
            chosen_nll = sft_loss(given.policy_chosen, given.chosen_mask)
            loss = loss + self.stage.sft_weight * token_mean(chosen_nll, totals.tokens)
        margins = terms[0].chosen_rewards - terms[0].rejected_rewards
        return Share(loss, {**sums, **_watched(given, batch), **_rewards(terms[0].chosen_rewards, margins)}, margins)

    def metrics(self, sums: dict[str, float]) -> dict[str, float]:
        """Means under the names that other preference trainers log."""
        means = {name: value / sums["pairs"] for name, value in sums.items() if "/" in name}
        kept = {**means, "sft_loss": sums["nll"] / sums["tokens"], "mean_group_size": sums["pairs"] / sums["groups"]}
        return {**kept, **_length_metrics(sums)}


def preference_logps(
    logps_NT: torch.Tensor,
    mask_NT: torch.Tensor,
    reference_NT: torch.Tensor | None,
    batch: PairBatch,
    chosen_kl: torch.Tensor | None = None,
) -> PreferenceLogps:
    """The branches of a forward as the sides of its pairs. Where only views are compared, the rejected side is the other view."""
    sides = batch.sides
    at = {side: (logps_NT[branch], mask_NT[branch]) for side, branch in sides.items()}
    known = {side: reference_NT[branch] for side, branch in sides.items()} if reference_NT is not None else {}
    second: Side = "rejected" if "rejected" in sides else "perturbed"
    return PreferenceLogps(
        policy_chosen=at["chosen"][0],
        chosen_mask=at["chosen"][1],
        reference_chosen=known.get("chosen"),
        policy_rejected=at[second][0],
        rejected_mask=at[second][1],
        reference_rejected=known.get(second),
        policy_perturbed=at["perturbed"][0] if "perturbed" in at else None,
        reference_perturbed=known.get("perturbed"),
        chosen_phrases=batch.phrases.get("chosen"),
        rejected_phrases=batch.phrases.get("rejected"),
        chosen_kl=chosen_kl,
        groups=batch.lists,
    )


def _chosen_kl(policy_KV: torch.Tensor, reference_KV: torch.Tensor | None, rows: RowBatch, batch: PairBatch) -> torch.Tensor:
    """(n,): KL(reference || policy) summed over the chosen response of every pair, computed once for equal ones."""
    assert reference_KV is not None
    branches, which = batch.sides["chosen"].unique(return_inverse=True)
    at_T = rows.kept_index[branches]
    return token_kl(reference_KV[at_T], policy_KV[at_T], rows.target_mask[branches])[which]


def _rewards(chosen: torch.Tensor, margins: torch.Tensor) -> SumOf:
    return {
        "rewards/chosen": chosen.sum(),
        "rewards/rejected": (chosen - margins).sum(),
        "rewards/margins": margins.sum(),
        "rewards/accuracies": (margins > 0).sum(),
    }


@torch.no_grad()
def _watched(given: PreferenceLogps, batch: PairBatch) -> SumOf:
    """Sums of what a person, or `watch`, looks at."""
    chosen, rejected = (x.double() for x in given.policy_sums())  # sums of squares are differences of large numbers
    sums: SumOf = {
        "pairs": len(chosen),
        "tokens": batch.tokens,
        "groups": batch.groups,
        "nll": -chosen.sum(),
        "logps/chosen": chosen.sum(),
        "logps/rejected": rejected.sum(),
        "curriculum/stage": batch.levels,
    }
    if given.chosen_kl is not None:
        sums["kl/chosen"] = given.chosen_kl.sum()
    if given.reference_chosen is None or given.reference_rejected is None:
        return sums
    moved = chosen - sum_logps(given.reference_chosen, given.chosen_mask)
    fell = moved - rejected + sum_logps(given.reference_rejected, given.rejected_mask)
    longer = (given.chosen_mask.sum(1) - given.rejected_mask.sum(1)).to(fell.dtype)
    sums["logps/chosen_change"] = moved.sum()
    names = ("length", "length_squared", "margin", "margin_squared", "length_margin")
    return sums | dict(zip(names, [x.sum() for x in (longer, longer**2, fell, fell**2, longer * fell)], strict=True))


def _length_metrics(sums: Mapping[str, float]) -> dict[str, float]:
    """How much of the log-prob margin goes by length alone: its slope, nats a token that the chosen response is longer, and the
    share of its variance that the slope explains."""
    if "length" not in sums:
        return {}
    n = sums["pairs"]
    length = sums["length_squared"] / n - (sums["length"] / n) ** 2
    margin = sums["margin_squared"] / n - (sums["margin"] / n) ** 2
    both = sums["length_margin"] / n - sums["length"] * sums["margin"] / n**2
    if length <= 1e-9 or margin <= 1e-9:
        return {}
    return {"length/slope": both / length, "length/explained": both**2 / (length * margin)}
