"""What one process of a build works with: decoder processes, the model, and what tasks have it make of them."""

from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from typing import Any, Self

from vtalign.models.video_lm import VideoLM
from vtalign.video.isolated import DecodeWorkers
from vtalign_data.config import BuildConfig
from vtalign_data.run_model import RunModel
from vtalign_data.runners.task import Made, Tool
from vtalign_data.usage import Usage, total
from vtalign_data.writer import Writer


class WorkTools:
    """Each made when first asked for. A context manager: leaving it ends the decoder processes."""

    def __init__(self, config: BuildConfig, model: RunModel) -> None:
        self.config, self.model = config, model
        self._made: dict[Made, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def itself(self) -> Self:
        return self

    @property
    def device(self) -> str:
        return self.config.device

    @cached_property
    def workers(self) -> DecodeWorkers:
        return self._stack.enter_context(DecodeWorkers(self.config.workers, self.config.limits))

    @property
    def decoded(self) -> Usage:
        """What decoder processes of this process did so far."""
        there = (vars(self).get("workers"), *self._made.values())
        return total(_decoded(workers) for workers in there if isinstance(workers, DecodeWorkers))

    @property
    def video_lm(self) -> VideoLM:
        """Raises InputError where the model cannot be loaded or is not the one that the run began with."""
        return self.model.video_lm

    @property
    def writer(self) -> Writer:
        """Raises InputError as `video_lm` does, where that writes."""
        return self.model.writer

    def resolve(self, argument: Any) -> Any:
        """What a mark of `vtalign_data.runners.task` stands for in this process; anything else is itself."""
        if isinstance(argument, Tool):
            return getattr(self, argument.value)
        if not isinstance(argument, Made):
            return argument
        if argument not in self._made:
            kwargs = {name: self.resolve(value) for name, value in argument.kwargs.items()}
            made = argument.make(*(self.resolve(value) for value in argument.args), **kwargs)
            self._made[argument] = self._stack.enter_context(made) if isinstance(made, AbstractContextManager) else made
        return self._made[argument]


def _decoded(workers: DecodeWorkers) -> Usage:
    passes = workers.passes
    probes = passes["probe"] + passes["probe_reading"]
    return Usage(decodes=passes.total() - passes["survey"], probes=probes, reads=passes["read"], frames=workers.frames)
