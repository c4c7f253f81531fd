"""What goes wrong quietly while the margin grows: chosen responses that become unlikely, and length that does the work."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

WINDOW = 20  # logged points that a warning is about: a few steps say nothing

# A fall of the chosen log-prob worth a word, nats a response; and how much of the margin's variance length may explain.
FALL, EXPLAINED = 2.0, 0.5


def displaced(rows: list[Mapping[str, float]]) -> str | None:
    """Likelihood displacement (Razin et al., arXiv 2410.08847): the margin is positive because both sides fell."""
    change, margin = (_mean(rows, name) for name in ("logps/chosen_change", "rewards/margins"))
    if change is None or margin is None or change > -FALL or margin <= 0:
        return None
    return (
        f"the chosen responses are {-change:.1f} nats less likely than under the reference while the margin grows to {margin:.2f}: "
        "likelihood displacement; raise sft_weight, lower learning_rate, or leave out pairs of high CHES"
    )


def driven_by_length(rows: list[Mapping[str, float]]) -> str | None:
    """The margin goes by how much longer one response is, not by what it says."""
    slope, explained = (_mean(rows, name) for name in ("length/slope", "length/explained"))
    if slope is None or explained is None or explained < EXPLAINED:
        return None
    return (
        f"length explains {explained:.0%} of the margin ({slope:+.2f} nats a token that the chosen response is longer): the model "
        "may be learning length; balance the pairs by length, or set ld_alpha or loss=sigmoid_norm"
    )


class Watch(TrainerCallback):
    """Prints each warning once a stage, and keeps it in `warnings`."""

    def __init__(self, stage: str) -> None:
        self.warnings: dict[str, str] = {}
        self._stage = stage
        self._rows: deque[Mapping[str, float]] = deque(maxlen=WINDOW)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A resumed run has seen what the checkpoint remembers."""
        for row in state.log_history:
            self._look(row, state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._look(state.log_history[-1], state)

    def _look(self, row: Mapping[str, float], state: TrainerState) -> None:
        if "loss" not in row:
            return
        self._rows.append(row)
        if len(self._rows) < WINDOW:
            return
        for name, check in (("displacement", displaced), ("length", driven_by_length)):
            said = check(list(self._rows)) if name not in self.warnings else None
            if said is not None:
                self.warnings[name] = f"step {row['step']}: {said}"
                if state.is_world_process_zero:
                    tqdm.write(f"{self._stage}: {self.warnings[name]}")


def _mean(rows: list[Mapping[str, float]], name: str) -> float | None:
    found = [row[name] for row in rows if name in row]
    return sum(found) / len(found) if found else None
