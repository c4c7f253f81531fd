"""Gates: the model that a stage leaves is measured by `vtalign eval run`, as a command, and must reach what the recipe asks.

What was decided is kept in the stage's `gate.json` and believed from then on. Main process only; the others read that file.
"""

import gc
import json
import os
import shlex
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import PartialState

from vtalign.artifacts import write_json
from vtalign.commands import command_line, die_with_parent, last_line
from vtalign.errors import GateNotMet, InputError, RunFailed
from vtalign.training.config import GateSettings, StageSettings, TrainConfig

DECISION, MEASURED_BEFORE, LOG = "gate.json", "gate-before.json", "gate.log"
AFTER, BEFORE = "gate", "gate-before"

_ROUNDING = 1e-9  # of a difference of two fractions: a measure that did not change has not fallen
_POLL_S = 0.5
# The evaluation is a process of its own, no member of the group that a launcher made of ours.
_LAUNCHER_NAMES = {
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
}
_LAUNCHER_PREFIXES = ("ACCELERATE_", "FSDP_", "TORCHELASTIC_")


@dataclass(frozen=True)
class GateDecision:
    """Measures are fractions. `needed` is what `value` had to reach, `before` the same measure of the model before the stage."""

    benchmark: str
    metric: str
    value: float
    needed: float
    before: float | None
    met: bool
    then: Literal["stop", "skip"]

    @property
    def sets_aside(self) -> bool:
        return not self.met and self.then == "skip"

    @property
    def verdict(self) -> str:
        return "met" if self.met else "not met, the stage is set aside" if self.sets_aside else "not met"

    def __str__(self) -> str:
        before = "" if self.before is None else f", {100 * self.before:.2f} % before the stage"
        asked = f"(at least {100 * self.needed:.2f} % asked{before})"
        return f"{self.metric} of {self.benchmark} is {100 * self.value:.2f} % {asked}"


def check_gates(config: TrainConfig) -> None:
    """Ask `vtalign eval check` about every gate that is not decided yet. Raises InputError naming the stage."""
    fine: list[list[str]] = []
    for stage, folder in zip(config.stages, config.stage_folders, strict=True):
        if stage.gate is None or decided(folder) is not None:
            continue
        arguments = _arguments(config, stage.gate, config.model, config.output / AFTER)
        argv = command_line("eval", "check", *arguments, f"fail_on={json.dumps(stage.gate.metric)}")
        if argv in fine:
            continue
        fine.append(argv)
        done = subprocess.run(argv, capture_output=True, text=True, env=_environment(config), check=False)
        if done.returncode:
            raise InputError(f"stage '{stage.name}': gate: {_said(done.stderr)}")


def decided(folder: Path) -> GateDecision | None:
    """The decision about the stage in `folder`, if it was made."""
    file = folder / DECISION
    return GateDecision(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def measure_before(config: TrainConfig, stage: StageSettings, start: str, folder: Path, devices: PartialState) -> float | None:
    """The measure of the model that `stage` starts from, where its gate compares with that.

    Called before the stage too: an evaluation that cannot run ends the recipe before training was paid for.
    """
    gate, file = stage.gate, folder / MEASURED_BEFORE
    if gate is None or gate.may_fall is None:
        return None
    if devices.is_main_process and not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        out = _evaluated_already(config, gate, start)
        if out is None:
            out = folder / BEFORE
            _evaluate(config, stage, gate, start, out, [])
        write_json(file, {"model": start, gate.metric: _measure(out, gate)})
    _wait_for(file)
    return float(json.loads(file.read_text(encoding="utf-8"))[gate.metric])


def decide(
    config: TrainConfig, stage: StageSettings, start: str, trained: str, folder: Path, devices: PartialState
) -> GateDecision | None:
    """Whether the model `trained` meets the gate of its stage; None where there is no gate.

    Raises InputError and RunFailed with what the evaluation said.
    """
    gate = stage.gate
    if gate is None:
        return None
    before = measure_before(config, stage, start, folder, devices)
    if devices.is_main_process and decided(folder) is None:
        bar = bar_of(gate, before)
        asked = ["--fail-under", repr(bar), f"fail_on={json.dumps(gate.metric)}"]
        met = _evaluate(config, stage, gate, trained, folder / AFTER, asked)
        value = _measure(folder / AFTER, gate)
        write_json(folder / DECISION, asdict(GateDecision(gate.benchmark, gate.metric, value, bar, before, met, gate.then)))
    _wait_for(folder / DECISION)
    return decided(folder)


def not_met(stage: str, decision: GateDecision, folder: Path) -> GateNotMet:
    """What a recipe ends with at a gate that stops it."""
    return GateNotMet(f"stage '{stage}': its gate is not met: {decision}; see {folder / AFTER}")


def bar_of(gate: GateSettings, before: float | None) -> float:
    """The fraction that the measure has to reach: the higher of what the gate asks for."""
    bars = [0.0]
    if gate.at_least is not None:
        bars.append(gate.at_least / 100)
    if gate.may_fall is not None and before is not None:
        bars.append(before - gate.may_fall / 100 - _ROUNDING)
    return max(bars)


def _evaluated_already(config: TrainConfig, gate: GateSettings, model: str) -> Path | None:
    """Where the gate of another stage, or a run that was stopped, measured the same of `model`."""
    for stage, folder in zip(config.stages, config.stage_folders, strict=True):
        other = stage.gate
        if other is None or (other.benchmark, other.data, other.eval) != (gate.benchmark, gate.data, gate.eval):
            continue
        for out in (folder / AFTER, folder / BEFORE):
            file = out / "results.json"
            if file.is_file() and json.loads(file.read_text(encoding="utf-8"))["config"]["model"] == model:
                return out
    return None


def _measure(out: Path, gate: GateSettings) -> float:
    metrics = json.loads((out / "results.json").read_text(encoding="utf-8"))["vtalign"]["metrics"]
    if gate.metric not in metrics:
        raise RunFailed(f"{out / 'results.json'}: has no metric '{gate.metric}' (it has {', '.join(metrics)})")
    return float(metrics[gate.metric]["value"])


def _evaluate(config: TrainConfig, stage: StageSettings, gate: GateSettings, model: str, out: Path, asked: list[str]) -> bool:
    """Run the evaluation (or go on with it); what it says goes to a log. True where it ends well, False below the bar."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # what the stage before held is the evaluation's now
    argv = command_line("eval", "run", *_arguments(config, gate, model, out), *asked)
    log = out.parent / LOG
    with log.open("ab") as file:
        file.write(f"$ {shlex.join(argv)}\n".encode())
        file.flush()
        code = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_environment(config),
            preexec_fn=die_with_parent,
            check=False,
        ).returncode
    if code in (0, GateNotMet.exit_code):
        return code == 0
    error = InputError if code == InputError.exit_code else RunFailed
    raise error(f"stage '{stage.name}': its gate cannot be decided: {_said(last_line(log))} (see {log})")


def _arguments(config: TrainConfig, gate: GateSettings, model: str, out: Path) -> list[str]:
    """Of `vtalign eval run` and of `vtalign eval check`: the recipe's own ways, then what the gate changes of them."""
    settings: dict[str, Any] = {
        "dtype": config.dtype,
        "device": config.device,
        "positions": config.positions,
        "trust_remote_code": config.trust_remote_code,
        "decode_workers": config.decode_workers,
        "frame_cache": str(config.frames_folder),
        **gate.eval,
    }
    flags = {"--model": model, "--benchmark": gate.benchmark, "--data": str(gate.data), "--out": str(out)}
    given = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    return [*given, *(part for flag in flags.items() for part in flag)]


def _environment(config: TrainConfig) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _LAUNCHER_NAMES and not name.startswith(_LAUNCHER_PREFIXES)
    }
    return kept if config.threads is None else {**kept, "OMP_NUM_THREADS": str(config.threads)}


def _wait_for(file: Path) -> None:
    """Where the main process works on it. No barrier of the process group: an evaluation may take longer than those wait."""
    while not file.is_file():
        time.sleep(_POLL_S)


def _said(text: str) -> str:
    """The last line of a command's errors, without its prefix."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("vtalign: error: ") if lines else "no output"
