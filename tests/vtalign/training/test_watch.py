from types import SimpleNamespace
from typing import Any

import pytest

from vtalign.training.watch import WINDOW, Watch


def watched(rows: list[dict[str, float]], *, resumed: int = 0) -> Watch:
    """A watch that saw `rows` one by one, the first `resumed` of them in the history of a checkpoint."""
    watch = Watch("dpo")
    history: list[dict[str, Any]] = [{"step": n, **row} for n, row in enumerate(rows, 1)]
    state: Any = SimpleNamespace(log_history=history[:resumed], is_world_process_zero=True)
    arguments: Any = None
    watch.on_train_begin(arguments, state, arguments)
    for row in history[resumed:]:
        state.log_history.append(row)
        watch.on_log(arguments, state, arguments)
    return watch


def row(chosen: float = 0.0, margin: float = 1.0, explained: float = 0.1) -> dict[str, float]:
    return {
        "loss": 0.5,
        "logps/chosen_change": chosen,
        "rewards/margins": margin,
        "length/slope": 0.4,
        "length/explained": explained,
    }


def test_nothing_is_said_of_a_sound_run() -> None:
    assert not watched([row(chosen=-1.0, explained=0.4)] * 3 * WINDOW).warnings
    assert not watched([row(chosen=-5.0, margin=-1.0)] * 3 * WINDOW).warnings  # it unlearns both, and the margin says so
    assert not watched([{"loss": 0.5, "sft_loss": 0.5}] * 3 * WINDOW).warnings
    assert not watched([row(chosen=-5.0, explained=0.9)] * (WINDOW - 1)).warnings


def test_falling_chosen_responses_are_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    watch = watched([row()] * WINDOW + [row(chosen=-4.0)] * WINDOW)
    assert list(watch.warnings) == ["displacement"] and "likelihood displacement" in watch.warnings["displacement"]
    assert watch.warnings["displacement"].startswith(f"step {WINDOW + WINDOW // 2}: ")  # the mean of the window crosses there
    said = capsys.readouterr().out
    assert said.count("likelihood displacement") == 1 and said.startswith("dpo: step")


def test_length_that_does_the_work_is_said() -> None:
    watch = watched([row(explained=0.8)] * WINDOW)
    assert watch.warnings == {
        "length": f"step {WINDOW}: length explains 80% of the margin (+0.40 nats a token that the chosen response is longer): the "
        "model may be learning length; balance the pairs by length, or set ld_alpha or loss=sigmoid_norm"
    }


def test_a_resumed_run_says_the_same() -> None:
    rows = [row()] * WINDOW + [row(chosen=-4.0)] * WINDOW
    assert watched(rows, resumed=25).warnings == watched(rows).warnings == watched(rows, resumed=35).warnings
