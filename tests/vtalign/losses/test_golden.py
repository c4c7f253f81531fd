"""Losses against numbers computed by other code: TRL, the authors' repositories, or the formula in plain arithmetic (see the file)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from vtalign.losses import (
    PreferenceLogps,
    PreferenceTerms,
    desensitise_length,
    dpo_loss,
    hinge_loss,
    ipo_loss,
    plackett_luce_loss,
    robust_dpo_loss,
    rrpo_loss,
    sigmoid_norm_loss,
    simpo_loss,
    token_kl,
    vdpo_loss,
)

from .pairs import make_logps, padded

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "losses.json").read_text(encoding="utf-8"))
CASES = [pytest.param(case, id=f"{case['loss']}-{case['settings']}") for case in GOLDEN["cases"] if case["loss"] != "rrpo"]
SEQUENCE = {"dpo": dpo_loss, "robust_dpo": robust_dpo_loss, "hinge": hinge_loss}
NORMALISED = {"ipo": ipo_loss, "sigmoid_norm": sigmoid_norm_loss}


def pairs() -> PreferenceLogps:
    columns = {name: [pair[name] for pair in GOLDEN["pairs"]] for name in GOLDEN["pairs"][0]}
    perturbed = {name: padded(columns.pop(name), 5) for name in ("policy_perturbed", "reference_perturbed")}
    return make_logps(**columns, **perturbed)


def compute(name: str, logps: PreferenceLogps, settings: dict[str, Any]) -> PreferenceTerms:
    if name == "vdpo":
        policy, reference = logps.perturbed_sums()
        return vdpo_loss(logps.policy_sums()[0], policy, logps.reference_sums()[0], reference, **settings)
    if name == "simpo":
        return simpo_loss(*logps.policy_sums(), *logps.token_counts(), **settings)
    sums = *logps.policy_sums(), *logps.reference_sums()
    if name == "plackett_luce":
        first = [side[:1].expand(3) for side in (sums[0], sums[2])]
        ranks = torch.tensor(settings["ranks"]) if "ranks" in settings else None
        return plackett_luce_loss(first[0], sums[1], first[1], sums[3], torch.zeros(3).long(), ranks, beta=settings["beta"])
    if name in NORMALISED:
        return NORMALISED[name](*sums, *logps.token_counts(), **settings)
    return SEQUENCE[name](*sums, **settings)


@pytest.mark.parametrize("case", CASES)
def test_published_number(case: dict[str, Any]) -> None:
    settings, logps = dict(case["settings"]), pairs()
    if "ld_alpha" in settings:
        logps = desensitise_length(logps, settings.pop("ld_alpha"))
    assert compute(case["loss"], logps, settings).losses.tolist() == pytest.approx(case["losses"], abs=1e-9)


@pytest.mark.parametrize(
    "case", [case for case in GOLDEN["cases"] if case["loss"] == "rrpo"], ids=lambda case: str(case["settings"])
)
def test_rrpo_is_what_its_authors_code_computes(case: dict[str, Any]) -> None:
    given = GOLDEN["rrpo"]
    policy, reference = (torch.tensor(given[name], dtype=torch.float64) for name in ("policy_logits", "reference_logits"))
    targets, phrases = (padded(given[name], policy.shape[1]) for name in ("targets", "phrases"))
    mask = ~targets.isnan()
    at = targets.nan_to_num().long()[..., None]
    logps, ref_logps = (logits.log_softmax(-1).gather(2, at)[..., 0] for logits in (policy, reference))
    inside = phrases.nan_to_num() > 0
    kl = token_kl(reference[:2], policy[:2], mask[:2])
    terms = rrpo_loss(logps[:2], logps[2:], ref_logps[:2], ref_logps[2:], inside[:2], inside[2:], kl, **case["settings"])
    assert kl.tolist() == pytest.approx(case["chosen_kl"], abs=1e-9)
    assert terms.losses.tolist() == pytest.approx(case["losses"], abs=1e-9)
    assert terms.chosen_rewards.tolist() == pytest.approx(case["chosen_rewards"], abs=1e-9)
    assert terms.rejected_rewards.tolist() == pytest.approx(case["rejected_rewards"], abs=1e-9)
