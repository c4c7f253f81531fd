import pytest
import torch

from vtalign.losses import desensitise_length

from .pairs import make_logps

LOGPS = make_logps(
    [[-1.0, -2.0, -4.0], [-8.0]],
    [[-1.0, -3.0], [-2.0, -4.0, -8.0]],
    [[-2.0, -2.0, -2.0], [-6.0]],
    [[-1.0, -1.0], [-3.0, -3.0, -3.0]],
)


def test_by_hand_for_policy_and_reference() -> None:
    # pair 1 shares two tokens: chosen -1 - 2 + half of -4; pair 2 shares one: rejected -2 + half of -4 - 8
    found = desensitise_length(LOGPS, 0.5)
    assert [side.tolist() for side in found.policy_sums()] == [[-5.0, -8.0], [-4.0, -8.0]]
    assert [side.tolist() for side in found.reference_sums()] == [[-5.0, -6.0], [-2.0, -6.0]]


def test_the_two_ends() -> None:
    for one, other in zip(desensitise_length(LOGPS, 1.0).policy_sums(), LOGPS.policy_sums(), strict=True):
        assert torch.equal(one, other)
    assert [side.tolist() for side in desensitise_length(LOGPS, 0.0).policy_sums()] == [[-3.0, -8.0], [-4.0, -2.0]]


def test_tokens_are_counted_by_the_mask_wherever_padding_stands() -> None:
    turned = {name: tensor.flip(1) for name, tensor in vars(LOGPS).items() if tensor is not None and tensor.dim() == 2}
    found = desensitise_length(type(LOGPS)(**turned, groups=LOGPS.groups), 0.5)
    # pair 1 from the other end: chosen -4 - 2 + half of -1
    assert found.policy_sums()[0].tolist() == [-6.5, -8.0]


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_a_weight_outside_0_and_1_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        desensitise_length(LOGPS, alpha)
