"""Which weights of a model change in a stage, and how they get back into a plain checkpoint."""

import os
import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.helpers import rescale_adapter_scale
from torch import nn

from vtalign.errors import InputError
from vtalign.models.families import Family, family_of, under
from vtalign.models.load import skeleton
from vtalign.models.video_lm import VideoLM
from vtalign.training.config import LoraSettings, StageSettings, TrainConfig

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def prepare_trainable(lm: VideoLM, stage: StageSettings, *, checkpointing: bool) -> Any:
    """The model of `lm` (changed in place) with exactly the weights trainable that `stage` names, in float32.

    With `lora` its parts are under an adapter; other named ones are trained whole. Raises InputError where none matches.
    """
    model, family = lm.model, lm.parts.family
    for name, parameter in model.named_parameters():
        # 4-bit weights are integers, which take no gradient; an adapter lies over them
        parameter.requires_grad_(part_of(name, family) in stage.trainable and parameter.is_floating_point())
    if checkpointing:
        _enable_checkpointing(model)
    if stage.lora is not None:
        model = _with_adapter(model, family, stage, stage.lora)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise InputError(f"stage '{stage.name}': the model has no weights in {', '.join(stage.trainable)}")
    for parameter in trained:
        parameter.data = parameter.data.float()
    return model


def require_adaptable(config: TrainConfig) -> None:
    """Raise InputError, before any weight is read, where an adapter would find no layers, or lacks what it needs."""
    adapted = [stage for stage in config.stages if stage.lora is not None]
    if not adapted:
        return
    model = skeleton(config.model, trust_remote_code=config.trust_remote_code)
    family = family_of(model.config, config.model)
    for stage in adapted:
        assert stage.lora is not None
        try:
            target_pattern(model, family, stage.lora)
        except InputError as error:
            raise InputError(f"stage '{stage.name}': {error}") from None
        if stage.lora.quantize is not None and find_spec("bitsandbytes") is None:
            raise InputError(f"stage '{stage.name}': lora.quantize needs the package bitsandbytes; install it, or leave it out")


def trainable_count(model: nn.Module) -> tuple[int, int]:
    """(trainable, all) numbers of parameters."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes)


def merged(model: Any, dtype: str, weight: float = 1.0) -> Any:
    """The plain model: an adapter, scaled by `weight`, is merged in float32, then everything becomes `dtype`.

    Parts that were trained whole beside the adapter stay as trained.
    """
    if isinstance(model, PeftModel):
        with rescale_adapter_scale(model, weight):
            model = model.float().merge_and_unload()
    return model.to(DTYPES[dtype])


def save_adapter(model: PeftModel, folder: Path, base: str) -> None:
    """The adapter alone, naming its base by a path that also holds after the run folder moved together with its stages."""
    settings = model.peft_config["default"]
    named = settings.base_model_name_or_path
    settings.base_model_name_or_path = os.path.relpath(base, folder) if Path(base).exists() else base
    # no look at the base's vocabulary (a request to the Hub where the base came from there): embeddings are never resized here
    model.save_pretrained(str(folder), save_embedding_layers=False)
    settings.base_model_name_or_path = named


def part_of(name: str, family: Family) -> str:
    """Which part a weight belongs to: `projector`, `vision` or `language_model`."""
    if under(name, family.projectors):
        return "projector"
    return "vision" if under(name, (family.encoder,)) else "language_model"


def _enable_checkpointing(model: Any) -> None:
    if hasattr(model, "activation_checkpointing_enable"):  # its name from transformers 5.23 on
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _with_adapter(model: Any, family: Family, stage: StageSettings, lora: LoraSettings) -> PeftModel:
    others = [part for part in stage.trainable if part not in lora.parts]
    # single layers, because PEFT cannot wrap a list of them
    whole = [
        name
        for name, module in model.named_modules()
        if part_of(name, family) in others and any(True for _ in module.parameters(recurse=False))
    ]
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        # one regular expression: PEFT keeps lists as sets, whose order in the saved file changes from run to run
        target_modules=target_pattern(model, family, lora),
        modules_to_save=whole or None,
    )
    with warnings.catch_warnings():
        # tied embeddings are never adapted here
        warnings.filterwarnings("ignore", message=".*tie_word_embeddings.*")
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return get_peft_model(model, config)


def target_pattern(model: Any, family: Family, lora: LoraSettings) -> str:
    """A regular expression for the full names of the linear layers to adapt. Raises InputError where none matches."""
    head = model.get_output_embeddings()
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and part_of(name, family) in lora.parts
    ]
    where, target = " and ".join(lora.parts).replace("_", " "), lora.target
    if not linear:
        raise InputError(f"lora.parts: the model has no linear layer in its {where}")
    if target == "all-linear":
        wanted = {name.rpartition(".")[2] for name in linear}
    elif re.fullmatch(r"[\w, ]+", target):
        wanted = {name.strip() for name in target.split(",")}
    else:
        try:
            matching = [name for name in linear if re.fullmatch(target, name)]
        except re.error as error:
            raise InputError(f"lora.target '{target}': not a regular expression ({error})") from None
        if not matching:
            raise InputError(f"lora.target '{target}': matches no linear layer of the {where} (one is named {linear[0]})")
        return target
    unknown = wanted - {name.rpartition(".")[2] for name in linear}
    if unknown:
        missing, known = ", ".join(sorted(unknown)), ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
        raise InputError(f"lora.target: the {where} has no linear layer named {missing} (it has {known})")
    # a projector may lie inside the encoder, and is a part of its own
    roots = {"projector": family.projectors, "vision": (family.encoder,), "language_model": family.language_model}
    inside = _any_of([root for part in lora.parts for root in roots[part]])
    spared = f"(?!{_any_of(family.projectors)}\\.)" if "vision" in lora.parts and "projector" not in lora.parts else ""
    return rf"{spared}{inside}\.(?:.*\.)?(?:{'|'.join(sorted(wanted))})"


def _any_of(names: Sequence[str]) -> str:
    return f"(?:{'|'.join(re.escape(name) for name in names)})"
