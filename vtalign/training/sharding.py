"""Training whose weights are spread over devices (FSDP2, DeepSpeed): what a launch may ask for, what is spread, and how it
comes together again.

`accelerate launch` says what to use in environment variables; `configs/accelerate/` holds its configs.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin, parse_flag_from_env
from torch import nn
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from transformers import Trainer
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from transformers.modeling_layers import GradientCheckpointingLayer

from vtalign.errors import InputError
from vtalign.launch import sharding_asked_for
from vtalign.models.families import Family, under
from vtalign.models.features import encoder_trains, transformers_model
from vtalign.training.config import PreferenceStage, StageSettings
from vtalign.training.conversations import Conversation
from vtalign.training.data import PairExample


def require_supported_launch(*, on_cpu: bool) -> str:
    """How weights are spread: `none` (one process, or DDP), `fsdp2`, `zero2`, `zero3`. Raises InputError where that cannot work.

    Every process reads the whole model and takes its share afterwards: the reference is scored and the margin at step 0 compared
    before anything is spread.
    """
    asked = sharding_asked_for()
    if asked == "deepspeed":
        if find_spec("deepspeed") is None:
            raise InputError("this launch asks for DeepSpeed, which is not installed: install it, or launch with FSDP2")
        if on_cpu:
            raise InputError("this launch asks for DeepSpeed, which needs GPUs here: launch with FSDP2 or DDP on the CPU")
        stage = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")
        if stage not in ("2", "3"):
            raise InputError(f"this launch asks for DeepSpeed ZeRO stage {stage}: choose 2 or 3 (`zero_stage`)")
        if parse_flag_from_env("ACCELERATE_DEEPSPEED_ZERO3_INIT"):
            raise InputError("zero3_init_flag is on: models are read whole here; set it to false")
        return f"zero{stage}"
    if asked is None:
        return "none"
    if os.environ.get("FSDP_VERSION", "1") != "2":
        raise InputError("this launch asks for FSDP version 1, which hides the vision encoder: set fsdp_version to 2")
    if parse_flag_from_env("FSDP_CPU_RAM_EFFICIENT_LOADING"):
        raise InputError("fsdp_cpu_ram_efficient_loading is on: models are read whole here; set it to false")
    return "fsdp2"


def require_alike_rows(rows: Sequence[PairExample] | Sequence[Conversation], stage: StageSettings, sharding: str) -> None:
    """Raise InputError where weights of the vision encoder are spread and some rows show video, others none.

    Devices that share weights must call them equally often, and text alone does not call an encoder. FSDP2 leaves a frozen one whole.
    """
    spread = sharding == "zero3" or (sharding == "fsdp2" and not {"vision", "projector"}.isdisjoint(stage.trainable))
    if spread and len({bool(row.videos if isinstance(row, Conversation) else row.views) for row in rows}) > 1:
        raise InputError(
            f"stage '{stage.name}': {stage.data} has rows with and without video, which cannot be mixed while the vision encoder is "
            "sharded: freeze vision and projector under FSDP2, launch with DDP or ZeRO-2, or put the text into a stage of its own"
        )


def require_shardable(stage: StageSettings, sharding: str) -> None:
    """Raise InputError where a reference beside the policy would need weights of its own while weights are spread, and for 4-bit
    weights, which cannot be."""
    if sharding != "none" and stage.lora is not None and stage.lora.quantize is not None:
        raise InputError(f"stage '{stage.name}': lora.quantize cannot be sharded; launch with DDP")
    if sharding == "none" or not isinstance(stage, PreferenceStage) or not stage.asks_reference_beside:
        return
    if stage.lora is None or stage.moving_reference is not None or stage.reference != "stage":
        raise InputError(
            f"stage '{stage.name}': its reference needs weights of its own, which are not spread: launch with DDP, or set lora and "
            "reference=stage without moving_reference (the reference is then the model with its adapter off)"
        )


def use_fsdp_on_cpu(accelerator: Accelerator) -> None:
    """Make FSDP of a launch hold for CPU processes as well: accelerate would fall back to DDP there without a word."""
    state = accelerator.state
    if state.distributed_type == DistributedType.MULTI_CPU and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        if state.mixed_precision != "no":
            state.fsdp_plugin.set_mixed_precision(state.mixed_precision)


def plan_shards(accelerator: Accelerator, model: nn.Module, family: Family) -> None:
    """Say what FSDP2 gathers at a time, and what it leaves alone; nothing to do under anything else.

    A unit is a transformer block, told by what its class inherits from: accelerate's default, `_no_split_modules`, names classes
    that a llava model does not have (which accelerate refuses), and of SmolVLM's blocks a part only. A frozen encoder stays whole on
    every device: it has no gradient and no optimiser state, and whole it can be called for one view alone, so that features are
    encoded once and kept. Gradients are added up in float32, whatever the arithmetic.
    """
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is None:
        return
    inner: Any = transformers_model(model)
    roots = () if encoder_trains(inner, family) else (family.encoder, *family.projectors)
    # a list and not the modules: some families have bare weights between the modules
    plugin.ignored_modules = [nn.ParameterList(weight for name, weight in inner.named_parameters() if under(name, roots))]
    if plugin.auto_wrap_policy is transformer_auto_wrap_policy and plugin.transformer_cls_names_to_wrap is None:
        plugin.transformer_cls_names_to_wrap = block_classes(inner, but=roots)
    if plugin.mixed_precision_policy is not None:
        plugin.mixed_precision_policy = MixedPrecisionPolicy(
            param_dtype=plugin.mixed_precision_policy.param_dtype, reduce_dtype=torch.float32
        )


def block_classes(model: nn.Module, but: tuple[str, ...] = ()) -> list[str]:
    """Names of the classes of a transformers model's blocks, those under `but` left out."""
    blocks = {
        type(module).__name__
        for name, module in model.named_modules()
        if isinstance(module, GradientCheckpointingLayer) and not under(name, but)
    }
    return sorted(blocks)


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """The state dict of the trained model, gathered on the CPU of the main process; None elsewhere. All processes must call it."""
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.is_deepspeed_enabled:
        unset_hf_deepspeed_config()  # while it is set, transformers spreads a model as it reads it
    return dict(weights) if trainer.is_world_process_zero() else None
