"""What a stage does to a batch, said so that any process can do it.

A task is a function of the vtalign packages, its plain arguments, and marks for what each process has to make for itself:

    task(captions.write_captions, asking, VIDEO_LM, frames, 32)   # write_captions(batch, asking, <the model>, <the frames>, 32)

with `frames = made(FrameStore, root, ..., workers=WORKERS)`. The marks have the types of what they stand for, so that mypy checks
the arguments. Everything else in a task is pickled when it is sent to another process.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, cast

from vtalign.models.video_lm import VideoLM
from vtalign.video.isolated import DecodeWorkers
from vtalign_data.stage import BatchResult
from vtalign_data.writer import Writer

if TYPE_CHECKING:
    from vtalign_data.runners.tools import WorkTools

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

Place = Literal["model", "decode", "driver"]
"""Who does a task where there are workers: those that hold a model, those that decode, or the process that runs the build."""


class Tool(Enum):
    """What each process has of its own; names of attributes of `WorkTools`."""

    WORKERS = "workers"
    VIDEO_LM = "video_lm"
    WRITER = "writer"
    DEVICE = "device"
    TOOLS = "itself"


WORKERS = cast(DecodeWorkers, Tool.WORKERS)
VIDEO_LM = cast(VideoLM, Tool.VIDEO_LM)
WRITER = cast(Writer, Tool.WRITER)
DEVICE = cast(str, Tool.DEVICE)
"""For a function that runs a model of its own: it is done where models are, on the device that is reserved for them."""
TOOLS = cast("WorkTools", Tool.TOOLS)
"""For a function that asks for a tool only sometimes, and so should be given all of them."""


@dataclass(frozen=True, eq=False)
class Made:
    """What each process makes once and keeps, however many tasks or batches name it."""

    make: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (*self.args, *self.kwargs.values())


@dataclass(frozen=True, eq=False)
class Task(Generic[T]):
    """`function(batch, *args)`; see `task`."""

    function: Callable[..., BatchResult]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    chosen: Place | None = None

    @property
    def place(self) -> Place:
        if self.chosen is not None:
            return self.chosen
        tools = set(_tools((*self.args, *self.kwargs.values())))
        if tools & {Tool.VIDEO_LM, Tool.WRITER, Tool.DEVICE, Tool.TOOLS}:
            return "model"
        return "decode" if tools else "driver"

    def spread(self) -> "Task[T]":
        """For work that needs no tool but reads whole files, so that workers should share it."""
        return replace(self, chosen="decode")

    def gathered(self) -> "Task[T]":
        """For work that a server does: the process that runs the build keeps to its limits."""
        return replace(self, chosen="driver")

    def run(self, tools: "WorkTools", batch: Sequence[T]) -> BatchResult:
        """The result, with the passes over videos that `tools` made for it in its usage."""
        before = tools.decoded
        kwargs = {name: tools.resolve(argument) for name, argument in self.kwargs.items()}
        result = self.function(batch, *(tools.resolve(argument) for argument in self.args), **kwargs)
        return replace(result, usage=result.usage + (tools.decoded - before))


Process = Task[T] | Callable[[Sequence[T]], BatchResult]
"""What a stage does: a task, or any callable, which is always called in the process that runs the build."""


class Runner(Protocol):
    """Works on batches."""

    def run(self, process: Process[T], batches: Iterable[tuple[int, Sequence[T]]]) -> Iterator[tuple[int, BatchResult]]:
        """The result of each numbered batch, in any order; `batches` is read as workers become free.

        Raises what `process` raises, RunFailed where a batch ends its workers again and again.
        """
        ...


def task(function: Callable[Concatenate[Sequence[T], P], BatchResult], *args: P.args, **kwargs: P.kwargs) -> Task[T]:
    """`function(batch, *args, **kwargs)`, to be done by whichever process has what `args` name."""
    return Task(function, args, kwargs)


def made(make: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Stands for `make(*args, **kwargs)`, called once in every process that needs it; `args` may hold marks."""
    return cast(R, Made(make, args, kwargs))


def _tools(arguments: Iterable[Any]) -> Iterator[Tool]:
    for argument in arguments:
        if isinstance(argument, Tool):
            yield argument
        elif isinstance(argument, Made):
            yield from _tools(argument.arguments)
