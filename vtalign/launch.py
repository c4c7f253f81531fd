"""How this process was launched: alone, or as one of several ranks (`accelerate launch`, `torchrun`)."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from vtalign.errors import InputError, RunFailed

# How long ranks wait for one that works alone or has more to do; launchers end the others at once where one dies.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Ranks:
    """The ranks of one launch, seen from one of them. `wait` returns when every rank has called it.

    `device`: where this rank computes, as `load_video_lm` takes it.
    """

    index: int
    count: int
    device: str
    wait: Callable[[], None]

    @property
    def is_main(self) -> bool:
        return self.index == 0


def sharding_asked_for() -> Literal["deepspeed", "fsdp"] | None:
    """What the launch says weights are spread with."""
    if _flag("ACCELERATE_USE_DEEPSPEED"):
        return "deepspeed"
    return "fsdp" if _flag("ACCELERATE_USE_FSDP") else None


def join_ranks(device: str) -> Ranks:
    """This process among those of its launch, each with the whole model on `device`: the GPU of its local rank, or the CPU.

    Raises InputError for a launch that spreads weights, and for one device named to several ranks. Ranks only ever wait for each
    other, over gloo on any device: more ranks than GPUs share them.
    """
    sharding = sharding_asked_for()
    if sharding is not None:
        raise InputError(
            f"this launch asks for {sharding}, but every process holds the whole model here: "
            "launch with torchrun, or with accelerate launch --multi_gpu"
        )
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Ranks(0, 1, device, lambda: None)
    chosen = _device_of_rank(device, int(os.environ["LOCAL_RANK"]))

    from accelerate import PartialState

    state = PartialState(cpu=True, timeout=PATIENCE)

    def wait() -> None:
        try:
            state.wait_for_everyone()
        except RuntimeError:
            raise RunFailed(
                "another process of this launch ended (it says why); run the same command again and it goes on from here"
            ) from None

    return Ranks(state.process_index, state.num_processes, chosen, wait)


def _device_of_rank(device: str, local_index: int) -> str:
    import torch

    if ":" in device:
        raise InputError(f"device '{device}': is one device for several processes; use device=cuda, which gives each one its own")
    on_cpu = device == "auto" and (_flag("ACCELERATE_USE_CPU") or not torch.cuda.is_available())
    if on_cpu or device == "cpu":
        return "cpu"
    if device in ("auto", "cuda") and torch.cuda.device_count():
        return f"cuda:{local_index % torch.cuda.device_count()}"
    return device


def _flag(name: str) -> bool:
    """A flag of accelerate's environment; accelerate, which takes torch with it, is imported only where there is one."""
    if name not in os.environ:
        return False
    from accelerate.utils import parse_flag_from_env

    return bool(parse_flag_from_env(name))
