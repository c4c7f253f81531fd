"""Every family sharded as a stage shards it gives the gradients of the whole model. Run by `accelerate launch` with FSDP2, as a
module, from the root."""

import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from tests.vtalign.models.conftest import NoiseFrames, make_plain_view
from tests.vtalign.models.family_checkpoints import BUILDERS, FIXED, SIDE, write_checkpoint
from vtalign.models.feature_store import FeatureStore
from vtalign.models.load import load_video_lm
from vtalign.models.prompt import Prompt
from vtalign.models.requests import Row
from vtalign.models.rows import branch_logps, build_batch
from vtalign.models.video_lm import VideoLM
from vtalign.training.config import SFTStage
from vtalign.training.sharding import plan_shards, use_fsdp_on_cpu
from vtalign.training.trainable import prepare_trainable

RESPONSES = ("a red square moves left .", "", "a blue circle grows .")
EVERYTHING = ["language_model", "projector", "vision"]


def stage(**settings: Any) -> SFTStage:
    return SFTStage.model_validate({"kind": "sft", "name": "s", "data": "x", "learning_rate": 1e-5, **settings})


def rows(rank: int, with_text: bool) -> list[Row]:
    """Rank 0 shows one view twice, rank 1 another once and, where devices need not call the encoder alike, text alone."""
    view = make_plain_view(f"video-{rank}", 4)
    texts = [("describe the video .", "what ?"), ("what happens first ?",)][rank]
    shown = [Row(Prompt((view, text)), RESPONSES[: 2 + rank]) for text in texts]
    return [Row(Prompt(("what comes after one ?",)), RESPONSES)] if rank == 1 and with_text else shown


def loss(lm: VideoLM, given: list[Row], frames: NoiseFrames) -> torch.Tensor:
    batch = FeatureStore().fill(lm.model, build_batch(lm.parts, given, frames))
    logps_NT, _ = branch_logps(lm.model, batch)
    return (logps_NT.sum(1) * torch.linspace(1.0, -0.5, len(logps_NT))).sum()


def trained(folder: Path, settings: SFTStage) -> VideoLM:
    lm = load_video_lm(folder, device="cpu")
    torch.manual_seed(0)
    lm.model = prepare_trainable(lm, settings, checkpointing=settings.lora is None)
    for parameter in lm.model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    lm.model.train()
    return lm


def check(folder: Path, family: str, settings: SFTStage) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=True)
    use_fsdp_on_cpu(accelerator)
    frames = NoiseFrames(SIDE, SIDE) if family in FIXED else NoiseFrames()
    rank, world = accelerator.process_index, accelerator.num_processes
    frozen = settings.lora is not None
    whole, sharded = trained(folder, settings), trained(folder, settings)
    expected = [loss(whole, rows(number, frozen), frames) for number in range(world)]
    (sum(expected) / world).backward()  # type: ignore[union-attr]

    plan_shards(accelerator, sharded.model, sharded.parts.family)
    optimizer = torch.optim.AdamW([p for p in sharded.model.parameters() if p.requires_grad])
    sharded.model, _ = accelerator.prepare(sharded.model, optimizer)
    units = [name for name, module in sharded.model.named_modules() if isinstance(module, FSDPModule)]
    assert sum(".layers." in name for name in units) >= 2, units
    assert any(sharded.parts.family.encoder in name for name in units) != frozen, units
    ours = loss(sharded, rows(rank, frozen), frames)
    ours.backward()
    torch.testing.assert_close(ours, expected[rank], atol=1e-4, rtol=1e-5)
    gradients = {name: p.grad for name, p in whole.model.named_parameters() if p.grad is not None}
    noise = 1e-6 * max(float(gradient.norm()) for gradient in gradients.values())
    for name, parameter in sharded.model.named_parameters():
        assert isinstance(parameter, DTensor) or not parameter.requires_grad
        if name in gradients:
            difference = float((parameter.grad.full_tensor() - gradients[name]).norm())
            assert difference <= max(1e-5 * float(gradients[name].norm()), noise), (name, difference)
    gathered = accelerator.get_state_dict(sharded.model)
    if rank == 0:
        whole.model.load_state_dict(gathered)


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        # before there is a process group: transformers writes on its first process only
        folders = {family: write_checkpoint(family, Path(root) / family) for family in BUILDERS}
        for family, folder in folders.items():
            for settings in (stage(lora={"r": 4}), stage(trainable=EVERYTHING)):
                try:
                    check(folder, family, settings)
                except Exception as error:
                    error.add_note(f"{family}, {'lora' if settings.lora else 'everything'}")
                    raise
    print(f"rank {dist.get_rank()}: as it should be", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
