"""The runner of a Ray cluster: the same tasks as actors of Ray Data, their results committed by the process that runs the build.

Every machine of the cluster needs the same versions installed and the videos and the model under the same paths; only the
process that runs the build writes its folder. A batch whose worker dies is given to another one by Ray.
"""

import importlib.util
import logging
import os
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self, TypeVar

import numpy as np

from vtalign.errors import InputError, RunFailed, VTAlignError
from vtalign_data.config import BuildConfig
from vtalign_data.runners.local import Batch, run_here
from vtalign_data.runners.task import Place, Process, Task
from vtalign_data.runners.tools import WorkTools
from vtalign_data.runners.worker import MAX_TRIES, Worker, WorkerSetup, died_too_often
from vtalign_data.stage import BatchResult

T = TypeVar("T")
logger = logging.getLogger(__name__)

_WINDOW = 512  # batches that are handed to Ray at once: a stage of any length takes bounded memory here and in the object store
_CONNECT_S = 5.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CAUSE = re.compile(r"[\w.]+(Error|Exception)\b")

# What keeps the libraries quiet and offline here does so in the workers.
_ENVIRONMENT = (
    *("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"),
    *("RAY_USAGE_STATS_ENABLED", "TOKENIZERS_PARALLELISM"),
)


@dataclass(frozen=True)
class _Boxed:
    """Keeps Ray Data from turning a value into Arrow: it travels as the Python object that it is."""

    value: Any


class _Tries:
    """An actor that counts how often each batch was begun."""

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}

    def begin(self, number: int) -> int:
        self._begun[number] = self._begun.get(number, 0) + 1
        return self._begun[number]

    def repeated(self) -> list[int]:
        return sorted(number for number, tries in self._begun.items() if tries > 1)


class _RayWorker:
    """What Ray Data makes an actor of. Errors that we raise on purpose are returned: Ray would wrap them."""

    def __init__(self, given: _Boxed) -> None:
        import ray

        reference, self._tries = given.value
        setup, task = ray.get(reference)
        self._work: Worker[Any] = Worker(setup, task, f"the worker on {socket.gethostname()}")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        import ray

        results = np.empty(len(batch["number"]), dtype=object)
        for place, (number, items) in enumerate(zip(batch["number"], batch["items"], strict=True)):
            if ray.get(self._tries.begin.remote(int(number))) > MAX_TRIES:
                results[place] = _Boxed(died_too_often(int(number)))
                continue
            try:
                results[place] = _Boxed(self._work(items.value))
            except VTAlignError as error:
                results[place] = _Boxed(error)
        return {"number": batch["number"], "result": results}


class RayRunner:
    """Joins the cluster at once. A context manager: leaving it leaves the cluster, and ends one that was started here.

    Raises InputError: Ray is not installed, no cluster at the address, a device that a worker cannot choose.
    """

    def __init__(self, config: BuildConfig, tools: WorkTools, setup: Callable[[], WorkerSetup]) -> None:
        if importlib.util.find_spec("ray") is None:
            raise InputError("runner ray: Ray is not installed; pip install 'vtalign[ray]' on every machine of the cluster")
        if ":" in config.device:
            raise InputError(
                f"device={config.device}: on a Ray cluster every worker gets a GPU of its own; say device=cuda or auto"
            )
        self._config, self._tools, self._setup = config, tools, setup
        self._joined = _join(config.runner.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        if self._joined:
            ray.shutdown()

    def run(self, process: Process[T], batches: Iterable[Batch[T]]) -> Iterator[tuple[int, BatchResult]]:
        """See `Runner`. What needs no tools is done in this process: sending it would take longer."""
        if not isinstance(process, Task) or process.place == "driver":
            yield from run_here(process, batches, self._tools)
            return
        import ray

        source = iter(batches)
        first = list(islice(source, _WINDOW))
        if not first:
            return
        reference = ray.put((self._setup(), process))
        while first:
            yield from self._run_window(reference, process.place, first)
            first = list(islice(source, _WINDOW))

    def _run_window(self, reference: Any, place: Place, batches: Sequence[Batch[T]]) -> Iterator[tuple[int, BatchResult]]:
        import ray
        import ray.data

        tries: Any = ray.remote(num_cpus=0)(_Tries).remote()
        room = _room(self._config, place, self._setup().threads)
        size = min(room.workers, len(batches))
        rows = [{"number": number, "items": _Boxed(batch)} for number, batch in batches]
        # one row per block: what Ray gives to a worker, and does again when it dies, is one batch
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _RayWorker,
            fn_constructor_args=(_Boxed((reference, tries)),),
            batch_size=1,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=size, initial_size=size),
            num_cpus=room.cpus,
            num_gpus=room.gpus,
        )
        try:
            for row in results.iter_rows():
                result = row["result"].value
                if isinstance(result, VTAlignError):
                    raise result
                yield int(row["number"]), result
            repeated = ray.get(tries.repeated.remote())
        except ray.exceptions.RayTaskError:
            raise  # a bug: its traceback is the report
        except ray.exceptions.RayError as error:
            raise RunFailed(f"ray: {_in_short(error)}; run the same command again and it goes on from here") from None
        if repeated:
            logger.warning("workers died; %d batches were done again", len(repeated))


@dataclass(frozen=True)
class _Room:
    """How many workers fit, and what each of them reserves."""

    workers: int
    cpus: int
    gpus: int


def _room(config: BuildConfig, place: Place, threads: int) -> _Room:
    """As the machines that are there allow; a worker never asks for more than the largest has."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    all_gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    gpus = 1 if place == "model" and config.device != "cpu" and all_gpus else 0
    wanted = config.runner.cpu_per_worker or (threads if place == "model" and not gpus else config.workers)
    cpus = min(wanted, max(int(node.get("CPU", 0)) for node in nodes))
    fit = all_gpus if gpus else sum(int(node.get("CPU", 0)) // cpus for node in nodes) if cpus else 1
    asked = config.runner.model_workers
    return _Room(asked if place == "model" and asked != "auto" else max(1, fit), cpus, gpus)


def _join(address: str | None) -> bool:
    """False where this process had joined a cluster before, which is then used. Raises InputError."""
    # read when Ray is imported; of what its C++ parts log, only what ends them
    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}.items():
        os.environ.setdefault(name, value)
    import ray
    import ray.data

    if ray.is_initialized():
        return False
    if address not in (None, "auto"):
        _check_reachable(address)
    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = False
    settings.print_on_execution_start = False
    settings.execution_no_progress_timeout_s = -1  # a batch takes as long as it takes
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": environment},
        )
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:
        where = f"runner.address={address}" if address else "runner ray"
        raise InputError(f"{where}: cannot join a Ray cluster: {_in_short(error)}") from None
    return True


def _check_reachable(address: str) -> None:
    """Ray itself would try for two minutes, and then end the process."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"runner.address={address}: no Ray cluster answers there ({error}); start one with `ray start --head`"
        ) from None


def _in_short(error: BaseException) -> str:
    """The error behind Ray's own, where it is told at the end of a traceback, else Ray's first line."""
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()]
    cause = next((line for line in reversed(lines[1:]) if _CAUSE.match(line)), None)
    return cause or next(iter(lines), type(error).__name__)
