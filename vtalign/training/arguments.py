"""A stage's settings as `transformers.TrainingArguments`."""

import math
from pathlib import Path

from transformers import TrainingArguments

from vtalign.training.config import Stage, TrainConfig
from vtalign.training.prepare import stage_seed
from vtalign.training.schedule import StepPlan


class StageArguments(TrainingArguments):
    """One device a process: several visible GPUs without a launcher must not become `nn.DataParallel`, which cannot split a batch
    of shared rows."""

    @property
    def n_gpu(self) -> int:
        return min(1, super().n_gpu)


def stage_arguments(config: TrainConfig, stage: Stage, plan: StepPlan, folder: Path, *, on_cpu: bool) -> StageArguments:
    """`folder` is where `checkpoint-N` go."""
    steps = len(plan.steps)
    return StageArguments(
        output_dir=str(folder),
        per_device_train_batch_size=stage.micro_batch,
        gradient_accumulation_steps=plan.accumulation,
        num_train_epochs=1,  # the plan holds every pass
        learning_rate=stage.learning_rate,
        lr_scheduler_type="constant_with_warmup" if stage.scheduler == "constant" else stage.scheduler,
        warmup_steps=math.ceil(stage.warmup * steps),
        weight_decay=stage.weight_decay,
        max_grad_norm=stage.max_grad_norm,
        # rows of text alone leave an encoder that trains without gradients, for which DDP would wait for ever
        ddp_find_unused_parameters=not {"vision", "projector"}.isdisjoint(stage.trainable),
        optim="adamw_torch",
        logging_steps=config.log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=config.save_every,
        save_total_limit=2,
        seed=stage_seed(config, stage),
        bf16=config.dtype == "bfloat16",
        use_cpu=on_cpu,
        report_to="none",  # the callbacks say where to
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        log_level="error",  # its warnings are about folders and versions that are checked here already
    )
