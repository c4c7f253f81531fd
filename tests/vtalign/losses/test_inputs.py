from dataclasses import replace

import pytest
import torch

from vtalign.losses import PreferenceLogps

from .pairs import make_logps

LOGPS = make_logps([[-1.0, -2.0], [-3.0]], [[-4.0], [-5.0, -6.0]], [[-1.0, -1.0], [-1.0]], [[-2.0], [-2.0, -2.0]])


def test_sums_and_counts_by_hand() -> None:
    with_perturbed = replace(LOGPS, policy_perturbed=LOGPS.policy_chosen * 2, reference_perturbed=LOGPS.policy_chosen * 3)
    assert [side.tolist() for side in LOGPS.token_counts()] == [[2, 1], [1, 2]]
    assert [side.tolist() for side in LOGPS.policy_sums()] == [[-3.0, -3.0], [-4.0, -11.0]]
    assert [side.tolist() for side in LOGPS.reference_sums()] == [[-2.0, -1.0], [-2.0, -4.0]]
    assert [side.tolist() for side in with_perturbed.perturbed_sums()] == [[-6.0, -6.0], [-9.0, -9.0]]


def test_what_a_stage_does_not_have_is_said() -> None:
    with pytest.raises(ValueError, match="no reference"):
        replace(LOGPS, reference_rejected=None).reference_sums()
    with pytest.raises(ValueError, match="perturbed view"):
        LOGPS.perturbed_sums()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("policy_rejected", torch.zeros(2, 3)),
        ("reference_chosen", torch.zeros(2)),
        ("groups", torch.zeros(3, dtype=torch.long)),
        ("chosen_kl", torch.zeros(2, 2)),
        ("rejected_mask", torch.ones(2, 2)),
        ("chosen_phrases", torch.ones(2, 2, dtype=torch.long)),
    ],
)
def test_a_tensor_of_another_shape_or_kind_is_named(name: str, value: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=f"{name} should be"):
        replace(LOGPS, **{name: value})


def test_token_log_probs_are_a_matrix() -> None:
    flat = torch.zeros(2)
    with pytest.raises(ValueError, match="policy_chosen should be"):
        PreferenceLogps(flat, flat, flat.bool(), flat.bool(), torch.zeros(2, dtype=torch.long))
