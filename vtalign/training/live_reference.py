"""The reference as a model that is asked beside the policy: where a loss needs whole distributions, or the reference moves.

The two differ in the trained weights alone. So a copy of those is all the memory that a reference takes: it changes places with the
policy's for the length of a forward. Under an adapter that starts from nothing not even that is needed, the adapter is switched off.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch.nn.parallel import DistributedDataParallel
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vtalign.errors import InputError
from vtalign.training.config import MovingReference

FILE = "reference.safetensors"


class LiveReference:
    """`with reference.of(model) as asked:` gives what to call, in evaluation mode; gradients are the caller's to switch off.

    `other` is a model of its own, for a reference that is not what the policy started from, asked under `arithmetic` (the policy's
    autocast, which Trainer puts around the policy alone). With `moves` the reference has weights of its own, which `follow` moves.
    """

    def __init__(
        self,
        model: Any,
        *,
        other: Any = None,
        arithmetic: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
        moves: MovingReference | None = None,
    ) -> None:
        self.moves = moves
        self._arithmetic = arithmetic
        self._other = other
        self._weights: dict[str, torch.Tensor] = {}
        if other is None and (moves is not None or not isinstance(model, PeftModel)):
            self._weights = {name: weight.detach().clone() for name, weight in _trained(model).items()}

    @property
    def is_another_model(self) -> bool:
        return self._other is not None

    @contextlib.contextmanager
    def of(self, model: Any) -> Iterator[Any]:
        model = _bare(model)
        asked = self._other if self._other is not None else model
        training = asked.training
        asked.eval()
        try:
            if self._other is not None:
                with self._arithmetic():
                    yield asked
            elif self._weights:
                self._exchange(model)
                try:
                    yield asked
                finally:
                    self._exchange(model)
            else:
                with model.disable_adapter():
                    yield asked
        finally:
            asked.train(training)

    @torch.no_grad()
    def follow(self, model: Any) -> None:
        """reference <- mix * policy + (1 - mix) * reference (https://arxiv.org/abs/2404.09656, soft update), of the trained weights:
        under an adapter of its two factors, whose product follows exactly at mix 1 alone."""
        assert self.moves is not None
        for name, weight in _trained(model).items():
            self._weights[name].lerp_(weight, self.moves.mix)

    def save(self, folder: Path) -> None:
        save_file({name: weight.contiguous() for name, weight in self._weights.items()}, folder / FILE)

    def load(self, folder: Path) -> None:
        """Raises InputError where the checkpoint holds no such reference."""
        file = folder / FILE
        found = load_file(file) if file.is_file() else {}
        if found.keys() != self._weights.keys():
            raise InputError(f"{file}: not the moving reference of this stage; choose another output folder")
        for name, weight in found.items():
            self._weights[name].copy_(weight)

    @torch.no_grad()
    def _exchange(self, model: Any) -> None:
        """By value, so that what holds on to the parameters (optimiser, reducers, shards) notices nothing."""
        for name, weight in _trained(model).items():
            mine, its = self._weights[name], weight.detach().clone()
            weight.copy_(mine)
            mine.copy_(its)
        torch.clear_autocast_cache()  # or the other's weights in bfloat16 would be met again


class FollowPolicy(TrainerCallback):
    """Moves the reference after the given `steps`, and keeps it in every checkpoint (before the marker: list it first)."""

    def __init__(self, reference: LiveReference, steps: Collection[int]) -> None:
        self._reference, self._steps = reference, steps

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step in self._steps:
            self._reference.follow(kwargs["model"])

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._reference.save(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")


def _trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in _bare(model).named_parameters() if weight.requires_grad}


def _bare(model: Any) -> Any:
    return model.module if isinstance(model, DistributedDataParallel) else model
