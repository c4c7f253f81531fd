"""One measurement of vtalign's trainer: `training.py` starts it.

`side` of the job is `shared` (one row for the `k` pairs of a group) or `separate` (the same code with sharing off: two rows a pair).
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from checkpoint import SIDE, frame_count
from measure import Clock, Seconds, StepClock, measuring_process, peak_megabytes
from noise import Noise
from transformers import PrinterCallback

from vtalign.models.attention import calls
from vtalign.models.encode import LMParts, encode_prompts, encode_responses
from vtalign.models.load import load_video_lm
from vtalign.models.prompt import Prompt
from vtalign.models.video_lm import VideoLM
from vtalign.preference.pair import PreferencePair
from vtalign.training.arguments import stage_arguments
from vtalign.training.collator import BatchCollator, coalesce, pair_batch
from vtalign.training.config import DPOStage, LoraSettings, TrainConfig
from vtalign.training.data import PairExample
from vtalign.training.objective import PreferenceObjective
from vtalign.training.schedule import Load, plan_steps
from vtalign.training.trainable import prepare_trainable
from vtalign.training.trainer import StageTrainer
from vtalign.video.view import VideoView


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """`job["steps"]` optimiser steps of `job["k"]` pairs each, one video a step, the first step to warm up."""
    lm = load_video_lm(job["checkpoint"], device=job["device"])
    source = Noise(range(job["steps"]), frame_count(job["visual"]), SIDE)
    return train(lm, source, job)


def train(lm: VideoLM, source: Noise, job: dict[str, Any]) -> dict[str, Any]:
    """As `run_stage` trains one dpo stage, without its files; `lm` is changed."""
    device, k = job["device"], job["k"]
    pairs = [pair for view in source.views.values() for pair in _pairs(view, job)]
    pairs, reference = _with_reference(lm, pairs, source, k, device)
    parts = lm.parts if job["side"] == "shared" else replace(lm.parts, shares_rows=False)
    with tempfile.TemporaryDirectory() as folder:
        stage, config = _settings(job, Path(folder))
        plan = plan_steps(
            range(len(pairs)), [Load(pair.prompt, job["visual"], 1) for pair in pairs], per_step=k, micro_batch=stage.micro_batch
        )
        arguments = stage_arguments(config, stage, plan, Path(folder), on_cpu=device == "cpu")
        arguments.save_strategy = "no"
        # gathers add up their gradients in one order
        torch.use_deterministic_algorithms(device == "cpu")
        trainer = StageTrainer(
            model=prepare_trainable(lm, stage, checkpointing=config.gradient_checkpointing),
            args=arguments,
            plan=plan,
            objective=PreferenceObjective(stage),
            examples=pairs,
            data_collator=BatchCollator(parts, source, pair_batch),
        )
        trainer.remove_callback(PrinterCallback)
        clock = StepClock(device)
        clock.watch(trainer)
        loaded = peak_megabytes(device)
        trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss/dpo" in entry]
    return {
        **clock.timed(),
        "reference": reference[1:],
        "losses": [entry["loss/dpo"] for entry in logs],
        "logps": [[entry["logps/chosen"], entry["logps/rejected"]] for entry in logs],
        "token_ids": [_token_ids(lm.parts, pair, source) for pair in pairs[:k]],
        "prompt_tokens": len(encode_prompts(lm.parts, [pairs[0].prompt], source)[0][0]),
        "attention_calls": dict(calls),
        "loaded_mb": loaded,
        "peak_mb": peak_megabytes(device),
    }


def _with_reference(
    lm: VideoLM, pairs: list[PairExample], source: Noise, k: int, device: str
) -> tuple[list[PairExample], list[Seconds]]:
    """`pairs` with their reference log-probs, and how long scoring each group of `k` took."""
    scored, seconds = [], []
    for at in range(0, len(pairs), k):
        group = pairs[at : at + k]
        clock = Clock(device)
        rows, sides = coalesce(group)
        tokens = [score.token_logps for row in lm.score(rows, source) for score in row]
        seconds.append(clock())
        for number, pair in enumerate(group):
            scored.append(replace(pair, reference={side: tokens[int(branch[number])] for side, branch in sides.items()}))
    return scored, seconds


def _settings(job: dict[str, Any], folder: Path) -> tuple[DPOStage, LoraSettings, TrainConfig]:
    stage = DPOStage(
        kind="dpo",
        name="dpo",
        data=folder,
        videos=folder,
        learning_rate=job["learning_rate"],
        scheduler="constant",
        warmup=0.0,
        max_grad_norm=job["max_grad_norm"],
        beta=job["beta"],
        pairs_per_step=job["k"],
        # rows of their own for all pairs at once would only take more memory
        micro_batch=job["k"] if job["side"] == "shared" else 1,
        lora=LoraSettings() if job.get("lora") else None,
    )
    config = TrainConfig(
        model="in memory",
        output=folder,
        stages=(stage,),
        dtype=job["dtype"],
        device=job["device"],
        gradient_checkpointing=bool(job.get("gradient_checkpointing")),
    )
    return stage, config


def _pairs(view: VideoView, job: dict[str, Any]) -> list[PairExample]:
    chosen, *rejected = job["responses"]
    video = view.slots[0].video_id
    made = []
    for number, response in enumerate(rejected[: job["k"]]):
        pair = PreferencePair(
            pair_id=f"{video}-{number}",
            group_id=video,
            video_id=video,
            video=video,
            view_id=view.view_id,
            view=view,
            prompt=job["question"],
            chosen=chosen,
            rejected=response,
            source="text",
        )
        made.append(PairExample(pair, Prompt((view, job["question"])), chosen, response))
    return made


def _token_ids(parts: LMParts, pair: PairExample, source: Noise) -> list[list[int]]:
    """Ids of both sides of a pair: prompt and response."""
    prompt = encode_prompts(parts, [pair.prompt], source)[0][0].ids.tolist()
    return [prompt + response for response in encode_responses(parts, [pair.chosen, pair.rejected])]


if __name__ == "__main__":
    measuring_process(measure)
