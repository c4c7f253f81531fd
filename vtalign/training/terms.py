"""A term of a stage's loss, from its settings: which pure function it is, and what that reads of the pairs."""

import json
from functools import cache

import torch

from vtalign.losses import (
    PreferenceLogps,
    PreferenceTerms,
    desensitise_length,
    dpo_loss,
    find_loss,
    hinge_loss,
    ipo_loss,
    plackett_luce_loss,
    robust_dpo_loss,
    rrpo_loss,
    sigmoid_norm_loss,
    simpo_loss,
    vdpo_loss,
)
from vtalign.losses.registry import PairLoss
from vtalign.training.loss_settings import CustomTerm, DPOTerm, RRPOTerm, Term, VDPOTerm


@cache
def _installed(entry_point: str, settings: str) -> PairLoss:
    """Looked up once: to list entry points takes longer than a small step."""
    return find_loss(entry_point, json.loads(settings))


def term_losses(term: Term, given: PreferenceLogps) -> PreferenceTerms:
    """Losses (n,) of the pairs, not reduced and not weighed, and the rewards whose difference is their margin."""
    if isinstance(term, DPOTerm):
        return _dpo(term, given)
    if isinstance(term, RRPOTerm):
        return _rrpo(term, given)
    if isinstance(term, VDPOTerm):
        return _vdpo(term, given)
    return _custom(term, given)


def _dpo(term: DPOTerm, given: PreferenceLogps) -> PreferenceTerms:
    if term.ld_alpha is not None:
        given = desensitise_length(given, term.ld_alpha)
    policy, tokens = given.policy_sums(), given.token_counts()
    if term.loss == "simpo":
        return simpo_loss(*policy, *tokens, beta=term.beta, gamma=0.5 * term.beta if term.gamma is None else term.gamma)
    reference = given.reference_sums()
    if term.loss == "robust":
        return robust_dpo_loss(*policy, *reference, beta=term.beta, label_smoothing=term.label_smoothing)
    if term.loss == "hinge":
        return hinge_loss(*policy, *reference, beta=term.beta)
    if term.loss == "ipo":
        return ipo_loss(*policy, *reference, *tokens, beta=term.beta)
    if term.loss == "sigmoid_norm":
        return sigmoid_norm_loss(*policy, *reference, *tokens, beta=term.beta)
    if term.loss == "plackett_luce":
        return plackett_luce_loss(*policy, *reference, given.groups, beta=term.beta)
    return dpo_loss(*policy, *reference, beta=term.beta, label_smoothing=term.label_smoothing)


def _rrpo(term: RRPOTerm, given: PreferenceLogps) -> PreferenceTerms:
    phrases = given.chosen_phrases, given.rejected_phrases
    assert phrases[0] is not None and phrases[1] is not None
    assert given.reference_chosen is not None and given.reference_rejected is not None
    return rrpo_loss(
        given.policy_chosen,
        given.policy_rejected,
        given.reference_chosen,
        given.reference_rejected,
        phrases[0],
        phrases[1],
        given.chosen_kl,
        beta=term.beta,
        alpha=term.alpha,
    )


def _vdpo(term: VDPOTerm, given: PreferenceLogps) -> PreferenceTerms:
    policy, reference = given.perturbed_sums()
    return vdpo_loss(
        given.policy_sums()[0],
        policy,
        given.reference_sums()[0],
        reference,
        beta=term.beta,
        anchor_weight=term.anchor,
    )


def _custom(term: CustomTerm, given: PreferenceLogps) -> PreferenceTerms:
    """Its rewards are log-prob changes: what it does with them is its own business."""
    losses = _installed(term.entry_point, json.dumps(term.settings, sort_keys=True))(given)
    policy = torch.stack(given.policy_sums()).detach()
    reference = torch.stack(given.reference_sums()) if given.reference_chosen is not None else torch.zeros_like(policy)
    chosen, rejected = policy - reference
    return PreferenceTerms(losses, chosen, rejected)
