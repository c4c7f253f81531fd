"""What the measuring processes have in common: clocks, memory, and how a command starts them. Runs in every environment.

Every measurement is a process of its own, so that its peak memory is its own; it reads a job as JSON and writes its result as JSON.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

_LONGEST = 1800.0  # seconds of one measuring process

Seconds = dict[str, float]
"""`wall` and `cpu` seconds; cpu is of all threads of the process, and what a busy machine leaves comparable."""


class Clock:
    """Seconds since it was made; on a GPU everything queued is waited for."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._wall, self._cpu = self._now()

    def __call__(self) -> Seconds:
        wall, cpu = self._now()
        return {"wall": wall - self._wall, "cpu": cpu - self._cpu}

    def _now(self) -> tuple[float, float]:
        if self._device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()


class StepClock(TrainerCallback):
    """Seconds of every optimiser step of a `transformers.Trainer`, of its optimiser alone, and of fetching its batches."""

    def __init__(self, device: str) -> None:
        self._device = device
        self.steps: list[Seconds] = []
        self.optimiser: list[Seconds] = []
        self._fetched: list[Seconds] = []

    def watch(self, trainer: Any) -> None:
        """Be called by `trainer`, and time its fetching, which happens before a step begins and one batch ahead."""
        get_batch_samples = trainer.get_batch_samples

        def timed(*args: Any, **kwargs: Any) -> Any:
            clock = Clock(self._device)
            samples = get_batch_samples(*args, **kwargs)
            self._fetched.append(clock())
            return samples

        trainer.get_batch_samples = timed
        trainer.add_callback(self)

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self._step = Clock(self._device)

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self._update = Clock(self._device)

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.optimiser.append(self._update())

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.steps.append(self._step())

    def timed(self) -> dict[str, list[Seconds]]:
        """`step` (batches fetched, forward, backward, optimiser), `optimiser`, `fetch`; the first step, the warm-up, is left out."""
        total = {unit: sum(part[unit] for part in self._fetched) / len(self.steps) for unit in ("wall", "cpu")}
        steps = [{unit: step[unit] + total[unit] for unit in total} for step in self.steps[1:]]
        return {"step": steps, "optimiser": self.optimiser[1:], "fetch": [total]}


def peak_megabytes(device: str) -> float:
    """The most memory this process has held: resident on a CPU, allocated on a GPU."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1024**2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2


def run_process(python: str | Path, script: Path, job: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """The result of `script --job JOB` in a process of its own.

    Raises RuntimeError with the end of what it printed where it fails, and TimeoutExpired where it hangs.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "job.json", Path(folder) / "result.json"
        given.write_text(json.dumps({**job, "result": str(result)}), encoding="utf-8")
        command = [str(python), str(script), "--job", str(given)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder, timeout=_LONGEST)
        if done.returncode or not result.is_file():
            raise RuntimeError(f"{script.name} failed with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


def measuring_process(measure: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The other end of `run_process`: `measure` the job that the command line names."""
    job = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    Path(job["result"]).write_text(json.dumps(measure(job)), encoding="utf-8")


def median(values: Sequence[Seconds], unit: str) -> float:
    return statistics.median(value[unit] for value in values)


def machine(threads: int, device: str) -> dict[str, Any]:
    """What a reader must know to judge absolute numbers."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "gpu": torch.cuda.get_device_name() if device != "cpu" else None,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def matmul_rate(device: str, dtype: torch.dtype, size: int = 4096) -> float:
    """Measured FLOPs per second of a square matrix product, the best of a few."""
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        clock = Clock(device)
        torch.mm(left, right)
        best = min(best, clock()["wall"])
    return 2 * size**3 / best


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write_results(folder: Path, name: str, data: dict[str, Any], text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
