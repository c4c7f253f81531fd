"""For every loss and every input: a gradient where there should be one, exactly none where there should not, none out of NaN."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vtalign.losses import (
    PreferenceLogps,
    desensitise_length,
    dpo_loss,
    hinge_loss,
    ipo_loss,
    plackett_luce_loss,
    response_means,
    robust_dpo_loss,
    rrpo_loss,
    sft_loss,
    sigmoid_norm_loss,
    simpo_loss,
    token_mean,
    vdpo_loss,
)

from .pairs import make_logps, padded

CHOSEN, REJECTED = [[-1.0, -2.0, -0.5], [-0.3]], [[-0.7, -1.1], [-2.0, -0.4, -1.6, -0.2]]
REF_CHOSEN, REF_REJECTED = [[-1.5, -1.0, -0.6], [-0.4]], [[-0.6, -1.3], [-1.0, -0.5, -1.7, -0.9]]
PERTURBED, REF_PERTURBED = [[-1.1, -2.2, -0.9], [-0.5]], [[-1.4, -1.1, -0.8], [-0.7]]
CHOSEN_MASK = [[1, 1, 1, 0], [1, 0, 0, 0]]
REJECTED_MASK = [[1, 1, 0, 0], [1, 1, 1, 1]]
CHOSEN_PHRASES = [[0, 1, 0, 0], [1, 0, 0, 0]]
REJECTED_PHRASES = [[1, 0, 0, 0], [0, 1, 1, 0]]

Loss = Callable[[PreferenceLogps], Tensor]
Places = Sequence[Sequence[int]] | Sequence[int]
BOTH: dict[str, Places] = {"policy_chosen": CHOSEN_MASK, "policy_rejected": REJECTED_MASK}
VIEWS: dict[str, Places] = {"policy_chosen": CHOSEN_MASK, "policy_perturbed": CHOSEN_MASK}
PHRASES: dict[str, Places] = {"policy_chosen": CHOSEN_PHRASES, "policy_rejected": REJECTED_PHRASES}


def sums(x: PreferenceLogps) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return *x.policy_sums(), *x.reference_sums()


def vdpo(x: PreferenceLogps, anchor_weight: float = 0.0) -> Tensor:
    (policy, reference), clean = x.perturbed_sums(), (x.policy_sums()[0], x.reference_sums()[0])
    return vdpo_loss(clean[0], policy, clean[1], reference, beta=0.1, anchor_weight=anchor_weight).losses


def rrpo(x: PreferenceLogps, alpha: float) -> Tensor:
    assert x.reference_chosen is not None and x.reference_rejected is not None
    assert x.chosen_phrases is not None and x.rejected_phrases is not None
    sides = x.policy_chosen, x.policy_rejected, x.reference_chosen, x.reference_rejected
    return rrpo_loss(*sides, x.chosen_phrases, x.rejected_phrases, x.chosen_kl, beta=0.1, alpha=alpha).losses


def sft(x: PreferenceLogps) -> Tensor:
    return token_mean(sft_loss(x.policy_chosen, x.chosen_mask), 4)


LOSSES: dict[str, tuple[Loss, dict[str, Places]]] = {
    "dpo": (lambda x: dpo_loss(*sums(x), beta=0.1).losses, BOTH),
    "cdpo": (lambda x: dpo_loss(*sums(x), beta=0.1, label_smoothing=0.1).losses, BOTH),
    "robust": (lambda x: robust_dpo_loss(*sums(x), beta=0.1, label_smoothing=0.1).losses, BOTH),
    "hinge": (lambda x: hinge_loss(*sums(x), beta=0.1).losses, BOTH),
    "ipo": (lambda x: ipo_loss(*sums(x), *x.token_counts(), beta=0.1).losses, BOTH),
    "sigmoid_norm": (lambda x: sigmoid_norm_loss(*sums(x), *x.token_counts(), beta=5.0).losses, BOTH),
    "ld_dpo": (lambda x: dpo_loss(*sums(desensitise_length(x, 0.5)), beta=0.1).losses, BOTH),
    "ld_dpo of what is shared": (
        lambda x: dpo_loss(*sums(desensitise_length(x, 0.0)), beta=0.1).losses,
        {"policy_chosen": [[1, 1, 0, 0], [1, 0, 0, 0]], "policy_rejected": [[1, 1, 0, 0], [1, 0, 0, 0]]},
    ),
    "simpo": (lambda x: simpo_loss(*x.policy_sums(), *x.token_counts(), beta=2.0, gamma=0.5).losses, BOTH),
    "plackett_luce": (lambda x: plackett_luce_loss(*sums(x), x.groups, beta=0.1).losses, BOTH),
    "plackett_luce ranked": (lambda x: plackett_luce_loss(*sums(x), x.groups, torch.tensor([2, 1]), beta=0.1).losses, BOTH),
    "rrpo": (lambda x: rrpo(x, 0.01), {**PHRASES, "chosen_kl": [1, 1]}),
    "rrpo without kl": (lambda x: rrpo(x, 0.0), PHRASES),
    "vdpo": (vdpo, VIEWS),
    "vdpo anchored": (lambda x: vdpo(x, 1.0), VIEWS),
    "sft": (sft, {"policy_chosen": CHOSEN_MASK}),
    "sft by response": (lambda x: response_means(sft_loss(x.policy_chosen, x.chosen_mask)), {"policy_chosen": CHOSEN_MASK}),
    "dpo and sft": (lambda x: dpo_loss(*sums(x), beta=0.1).losses.sum() + 0.5 * sft(x), BOTH),
}


def leaves() -> PreferenceLogps:
    """Two pairs of one group, with every input there is; floats all want gradients, references too."""
    logps = make_logps(
        CHOSEN,
        REJECTED,
        REF_CHOSEN,
        REF_REJECTED,
        groups=torch.tensor([5, 5]),
        policy_perturbed=padded(PERTURBED, 4),
        reference_perturbed=padded(REF_PERTURBED, 4),
        chosen_phrases=torch.tensor(CHOSEN_PHRASES).bool(),
        rejected_phrases=torch.tensor(REJECTED_PHRASES).bool(),
        chosen_kl=torch.tensor([0.4, 0.1], dtype=torch.float64),
    )
    return replace(logps, **{name: t.requires_grad_() for name, t in vars(logps).items() if t.is_floating_point()})


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_where_it_should_be_and_nowhere_else(name: str) -> None:
    loss, expected = LOSSES[name]
    logps = leaves()
    losses = loss(logps)
    assert torch.isfinite(losses).all()
    losses.sum().backward()
    for field, tensor in vars(logps).items():
        if tensor.is_floating_point():
            gradient = tensor.grad if tensor.grad is not None else torch.zeros_like(tensor)
            places = torch.tensor(expected[field]).bool() if field in expected else torch.zeros_like(tensor).bool()
            assert torch.equal(gradient != 0, places), f"{field}: {gradient}"  # a NaN is != 0 too
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("sft", "sft by response")])
def test_it_pulls_the_chosen_response_up_against_the_other_side(name: str) -> None:
    loss, expected = LOSSES[name]
    logps = leaves()
    loss(logps).sum().backward()
    against = logps.policy_perturbed if "policy_perturbed" in expected else logps.policy_rejected
    assert logps.policy_chosen.grad is not None and logps.policy_chosen.grad.sum() < 0
    assert against is not None and against.grad is not None and against.grad.sum() > 0
