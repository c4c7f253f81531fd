"""Before its first step a policy is its own reference, or something is wrong with the reference, the frames or the model."""

import contextlib
from typing import Any

import torch

from vtalign.errors import RunFailed
from vtalign.losses import sum_logps
from vtalign.models.rows import branch_logps
from vtalign.training.collator import PairBatch

# Largest difference of log-probs that arithmetic alone explains, in nats per token of a response.
TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}


@torch.no_grad()
def require_zero_margin(model: Any, batch: PairBatch, device: torch.device, dtype: str, stage: str) -> None:
    """Compare the log-probs of all sides of each pair with the reference's. Raises RunFailed naming the worst pair.

    Holds where the reference is the model that the stage starts from (an adapter starts at zero). Dropout is off.
    """
    batch = batch.to(device)
    if batch.rows is None:
        return
    assert batch.reference is not None
    training = model.training
    model.eval()
    with autocast(device, dtype):
        logps_NT, mask_NT = branch_logps(model, batch.rows)
    model.train(training)
    policy_N, reference_N = sum_logps(logps_NT, mask_NT), sum_logps(batch.reference, mask_NT)
    off_N = (policy_N - reference_N).abs() / mask_NT.sum(1)
    worst = int(off_N.argmax())
    if not off_N[worst] <= TOLERANCE[dtype]:
        pair, side = next(
            (n, side) for side, branches in batch.sides.items() for n, k in enumerate(branches.tolist()) if k == worst
        )
        raise RunFailed(
            f"stage '{stage}': the margin is not zero at step 0: the {side} side of pair {batch.ids[pair]} has a log-prob of "
            f"{float(policy_N[worst]):.4f} under the model and {float(reference_N[worst]):.4f} under its reference, which should be "
            "the same model; score the pairs again"
        )


def autocast(device: torch.device, dtype: str) -> Any:
    """The arithmetic that Trainer uses for `dtype`."""
    return torch.autocast(device.type, torch.bfloat16) if dtype == "bfloat16" else contextlib.nullcontext()
