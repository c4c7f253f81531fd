"""One measurement of TRL's `DPOTrainer`, in TRL's environment: `training.py` starts it. Knows nothing of vtalign.

A row is one pair: the prompt is a conversation with the frames as images, the reference is the second model that TRL keeps.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from checkpoint import SIDE, frame_count, image_content, make_frames
from datasets import Dataset
from measure import StepClock, measuring_process, peak_megabytes
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, PrinterCallback
from trl import DPOConfig, DPOTrainer


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """`job["steps"]` optimiser steps of `job["k"]` pairs each, one pair a forward, the first step to warm up."""
    device, dtype = job["device"], getattr(torch, job["dtype"])
    processor = AutoProcessor.from_pretrained(job["checkpoint"])
    model = AutoModelForImageTextToText.from_pretrained(job["checkpoint"], dtype=dtype, attn_implementation="sdpa").to(device)
    for part in (model.model.vision_tower, model.model.multi_modal_projector):
        part.requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        trainer = DPOTrainer(
            model=model, args=_arguments(job, Path(folder)), train_dataset=_pairs(job), processing_class=processor
        )
        trainer.remove_callback(PrinterCallback)
        clock = StepClock(device)
        clock.watch(trainer)
        losses = _recorded_losses(trainer)
        ids = _token_ids(trainer, job["k"])
        loaded = peak_megabytes(device)
        trainer.train()
    k = job["k"]
    return {
        **clock.timed(),
        "losses": [sum(losses[at : at + k]) / k for at in range(0, len(losses), k)],
        "logps": [
            [entry["logps/chosen"], entry["logps/rejected"]] for entry in trainer.state.log_history if "logps/chosen" in entry
        ],
        "token_ids": ids,
        "loaded_mb": loaded,
        "peak_mb": peak_megabytes(device),
    }


def _arguments(job: dict[str, Any], folder: Path) -> DPOConfig:
    return DPOConfig(
        output_dir=str(folder),
        beta=job["beta"],
        learning_rate=job["learning_rate"],
        lr_scheduler_type="constant",
        max_grad_norm=job["max_grad_norm"],
        optim="adamw_torch",
        per_device_train_batch_size=1,
        gradient_accumulation_steps=job["k"],
        max_steps=job["steps"],
        max_length=None,  # its default would cut the video
        gradient_checkpointing=False,  # as on our side; TRL's default would cost it another forward pass
        bf16=job["dtype"] == "bfloat16",
        use_cpu=job["device"] == "cpu",
        train_sampling_strategy="sequential",
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
    )


def _pairs(job: dict[str, Any]) -> Dataset:
    chosen, *rejected = job["responses"]
    rows = []
    for step in range(job["steps"]):
        frames = [Image.fromarray(frame) for frame in make_frames(frame_count(job["visual"]), SIDE, step)]
        prompt = [{"role": "user", "content": image_content(len(frames), job["question"])}]
        for response in rejected[: job["k"]]:
            sides = {
                name: [{"role": "assistant", "content": text}] for name, text in (("chosen", chosen), ("rejected", response))
            }
            rows.append({"prompt": prompt, **sides, "images": frames})
    return Dataset.from_list(rows)


def _recorded_losses(trainer: DPOTrainer) -> list[float]:
    """Where the loss of every forward will be: what Trainer logs is rounded."""
    losses: list[float] = []
    compute_loss = trainer.compute_loss

    def recorded(*args: Any, **kwargs: Any) -> Any:
        loss = compute_loss(*args, **kwargs)
        losses.append(float(loss.detach()))
        return loss

    trainer.compute_loss = recorded
    return losses


def _token_ids(trainer: DPOTrainer, k: int) -> list[list[list[int]]]:
    """Ids of both sides of the pairs of the first step, as its collator makes them: what the model reads, without padding."""
    found = []
    for row in range(k):
        batch = trainer.data_collator([dict(trainer.train_dataset[row])])
        found.append([ids[seen.bool()].tolist() for ids, seen in zip(batch["input_ids"], batch["attention_mask"], strict=True)])
    return found


if __name__ == "__main__":
    measuring_process(measure)
