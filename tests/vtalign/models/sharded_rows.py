"""Shared rows under FSDP2 give the log-probs and gradients of the whole model. Run under torchrun, as a module, from the root."""

from typing import Any

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.distributed.fsdp import fully_shard

from vtalign.models.feature_store import FeatureStore
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.video_lm import VideoLM

from . import conftest

RESPONSES = ("a red square moves left .", "", "a blue circle grows . then a red circle grows", "what happens first ?")


def make(checkpointing: bool) -> VideoLM:
    lm = conftest.make_random_lm()
    torch.manual_seed(0)
    targets = r".*language_model.*(q_proj|v_proj|down_proj)"
    adapted: Any = get_peft_model(lm.model, LoraConfig(r=4, target_modules=targets, init_lora_weights=False))
    if checkpointing:
        adapted.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        adapted.train()
    return VideoLM(adapted, lm.processor, lm.policy)


def shard(model: nn.Module) -> None:
    inner: Any = model.get_base_model().model  # type: ignore[operator]
    for block in [*inner.visual.blocks, *inner.language_model.layers]:
        fully_shard(block)
    fully_shard(model)


def passes(lm: VideoLM, rows: list[Row], stored: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs of the policy (with gradient) and of the reference, the adapter switched off, over the same features."""
    batch = build_batch(lm.parts, rows, conftest.NoiseFrames())
    if stored:
        batch = FeatureStore().fill(lm.model, batch)
        assert batch.visual is not None and batch.visual.features is not None
    policy, _ = branch_logps(lm.model, batch)
    with torch.no_grad(), lm.model.disable_adapter():
        reference, _ = branch_logps(lm.model, batch)
    return policy, reference


def loss(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    signs = torch.tensor([1.0 if row % 2 else -1.0 for row in range(len(policy))])
    return ((policy - reference).sum(1) * signs).sum()


def main() -> None:
    rank, world = int(dist.get_rank()), int(dist.get_world_size())
    # rank 0 shows one view twice, rank 1 does not: what they call must not depend on it
    views = [conftest.make_plain_view("video-a", 4), conftest.make_plain_view("video-b", 4)]
    of_rank = [
        [Row(Prompt((views[0], "describe the video .")), RESPONSES[:3]), Row(Prompt((views[0], "what ?")), RESPONSES[1:])],
        [Row(Prompt((views[1], "what happens first ?")), RESPONSES)],
    ]
    for checkpointing in (False, True):
        for stored in (False, True):
            whole, sharded = make(checkpointing), make(checkpointing)
            shard(sharded.model)
            expected = [passes(whole, rows, stored) for rows in of_rank]
            (sum(loss(*pair) for pair in expected) / world).backward()  # type: ignore[union-attr]
            ours = passes(sharded, of_rank[rank], stored)
            loss(*ours).backward()
            for made, wanted in zip(ours, expected[rank], strict=True):
                assert (made - wanted).abs().max() < 1e-5
            gradients = {name: p.grad for name, p in whole.model.named_parameters() if p.grad is not None}
            compared = 0
            for name, parameter in sharded.model.named_parameters():
                if parameter.requires_grad:
                    difference = (parameter.grad.full_tensor() - gradients[name]).norm()
                    assert difference <= 1e-5 * gradients[name].norm() + 1e-8, (name, float(difference))
                    compared += 1
            assert compared == len(gradients) > 0
    print(f"rank {rank}: equal")


if __name__ == "__main__":
    dist.init_process_group("gloo")
    main()
    dist.destroy_process_group()
