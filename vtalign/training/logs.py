"""What a running stage tells: a progress bar, `history.jsonl` for the report, TensorBoard."""

import json
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback

from vtalign.artifacts import read_jsonl, write_atomic

SHOWN = ("loss", "rewards/margins", "rewards/accuracies", "sft_loss")


class HistoryWriter(TrainerCallback):
    """Keeps `history.jsonl`: every logged point of every stage, `{"stage", "step", "epoch", "loss", ..}`.

    When a stage starts or resumes, the rows of `earlier` stages stay and its own come from the checkpoint, so that the file of a
    resumed run is that of an uninterrupted one.
    """

    def __init__(self, path: Path, stage: str, earlier: list[str]) -> None:
        self._path, self._stage, self._earlier = path, stage, earlier

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            kept = [row for row in read_history(self._path) if row["stage"] in self._earlier]
            own = [_named(self._stage, row) for row in state.log_history if "loss" in row]
            write_atomic(self._path, "".join(_line(row) for row in [*kept, *own]))

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero and "loss" in state.log_history[-1]:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(_named(self._stage, state.log_history[-1])))


class ProgressBar(TrainerCallback):
    """One line: steps, and the latest of the numbers one watches."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._bar = tqdm(total=state.max_steps, initial=state.global_step, desc=self._title, unit="step", mininterval=0.5)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        latest = state.log_history[-1]
        if self._bar is not None and "loss" in latest:
            shown = {name.rpartition("/")[2]: f"{latest[name]:.3f}" for name in SHOWN if name in latest}
            self._bar.set_postfix(shown, refresh=False)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.close()


def tensorboard(folder: Path, resumed_at: int) -> TensorBoardCallback:
    """Writes event files to `folder`; points after the step that is resumed from are purged from the curves."""
    from torch.utils.tensorboard import SummaryWriter

    return TensorBoardCallback(SummaryWriter(str(folder), purge_step=resumed_at + 1 if resumed_at else None))


def read_history(path: Path) -> list[dict[str, Any]]:
    """Rows of a `history.jsonl`; none where there is no file yet."""
    return list(read_jsonl(path)) if path.is_file() else []


def _named(stage: str, row: dict[str, Any]) -> dict[str, Any]:
    """In one order of keys: Trainer's own state file keeps none."""
    rest = {name: row[name] for name in sorted(row) if name not in ("step", "epoch")}
    return {"stage": stage, "step": row["step"], "epoch": row["epoch"], **rest}


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
