"""Gates decide by real evaluations, which are commands of their own: most of these tests take a while."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtalign.config import dump_config
from vtalign.errors import GateNotMet, InputError
from vtalign.training.config import GateSettings, TrainConfig
from vtalign.training.gate import GateDecision, bar_of, decided
from vtalign.training.logs import read_history
from vtalign.training.recipe import run_recipe

Recipe = Callable[..., TrainConfig]
SCRIPT = Path(__file__).with_name("run_and_die.py")


@pytest.fixture
def gate(small_corpus: Path) -> Callable[..., dict[str, Any]]:
    def make(**settings: Any) -> dict[str, Any]:
        return {"data": str(small_corpus / "validation"), "eval": {"limit": 6}, **settings}

    return make


@pytest.mark.parametrize(
    ("asked", "before", "bar"),
    [
        ({"at_least": 55.0}, None, 0.55),
        ({"may_fall": 2.0}, 0.62, 0.60),
        ({"at_least": 55.0, "may_fall": 2.0}, 0.56, 0.55),
        ({"at_least": 55.0, "may_fall": 2.0}, 0.62, 0.60),
        ({"may_fall": 2.0}, 0.01, 0.0),
    ],
)
def test_the_higher_of_two_bars(asked: dict[str, float], before: float | None, bar: float) -> None:
    assert bar_of(GateSettings.model_validate({"data": "d", **asked}), before) == pytest.approx(bar, abs=1e-8)


@pytest.mark.parametrize("value", [1 / 3, 2 / 3, 0.1 + 0.2, 1.0])
def test_what_did_not_change_has_not_fallen(value: float) -> None:
    assert value >= bar_of(GateSettings.model_validate({"data": "d", "may_fall": 0}), value)


def test_a_decision_says_what_was_asked() -> None:
    decision = GateDecision("temporal-shapes", "static", 0.5, 0.6, 0.62, False, "stop")
    assert str(decision) == "static of temporal-shapes is 50.00 % (at least 60.00 % asked, 62.00 % before the stage)"
    assert decision.verdict == "not met" and not decision.sets_aside


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"metric": "tempral"}, "fail_on 'tempral'"),
        ({"data": "nowhere"}, "nowhere: no such data folder"),
        ({"eval": {"limt": 3}}, "limt: unknown key"),
    ],
)
def test_a_gate_that_cannot_be_held_is_refused_before_training(
    recipe: Recipe, gate: Callable[..., dict[str, Any]], tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    config = recipe(tmp_path / "run", sft={"max_steps": 1, "gate": gate(at_least=50.0, **settings)}, model=str(tmp_path / "none"))
    with pytest.raises(InputError) as caught:
        run_recipe(config)
    assert said in str(caught.value) and "stage 'sft': gate:" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_gate_stops_the_recipe_and_does_so_again(recipe: Recipe, gate: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    config = recipe(tmp_path / "run", dpo={"max_steps": 1, "gate": gate(at_least=100.0, may_fall=1.0)}, sft={"max_steps": 1})
    with pytest.raises(GateNotMet, match=r"stage 'dpo': its gate is not met: temporal of temporal-shapes is \d") as caught:
        run_recipe(config)
    folder = config.stage_folders[0]
    decision = decided(folder)
    assert decision is not None and decision.needed == 1.0 and decision.before is not None and not decision.met
    assert json.loads((folder / "gate/results.json").read_text())["vtalign"]["metrics"]["temporal"]["value"] == decision.value
    assert (folder / "model/model.safetensors").is_file() and not (config.output / "model").exists()
    assert not config.stage_folders[1].exists()
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    file = tmp_path / "recipe.yaml"
    file.write_text(dump_config(config))
    again = subprocess.run([sys.executable, "-m", "vtalign", "train", str(file)], capture_output=True, text=True, check=False)
    assert again.returncode == 3 and again.stderr.splitlines()[-1] == f"vtalign: error: {caught.value}"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == kept
    report = (config.output / "report.html").read_text()
    assert "its gate is not met" in report and "<svg" in report


@pytest.mark.slow
def test_a_stage_that_is_set_aside_leaves_no_trace_in_the_model(
    recipe: Recipe, gate: Callable[..., dict[str, Any]], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    skip = {"max_steps": 2, "gate": gate(at_least=100.0, then="skip")}
    config = recipe(tmp_path / "both", sft=skip, dpo={"max_steps": 2}, order=("sft", "dpo"))
    both = run_recipe(config)
    alone = run_recipe(recipe(tmp_path / "alone", dpo={"max_steps": 2}, order=("dpo",)))
    assert both.gates["sft"].sets_aside and both.stages[1].start == str(tiny_checkpoint)
    assert (both.model / "model.safetensors").read_bytes() == (alone.model / "model.safetensors").read_bytes()
    assert "not met, the stage is set aside" in (both.model / "README.md").read_text()
    assert [row["stage"] for row in read_history(both.history)] == ["sft", "sft", "dpo", "dpo"]


@pytest.mark.slow
def test_where_every_stage_is_set_aside_there_is_no_model(
    recipe: Recipe, gate: Callable[..., dict[str, Any]], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    skip = {"max_steps": 1, "gate": gate(at_least=100.0, then="skip")}
    config = recipe(tmp_path / "run", sft=skip, order=("sft",))
    with pytest.raises(GateNotMet, match=f"no stage met its gate: the model is still {tiny_checkpoint}"):
        run_recipe(config)
    assert not (config.output / "model").exists()
    assert json.loads((config.output / "summary.json").read_text())["model"] is None


@pytest.mark.slow
def test_an_evaluation_is_believed_only_when_its_decision_is_written(
    recipe: Recipe, gate: Callable[..., dict[str, Any]], tmp_path: Path, project_root: Path
) -> None:
    """Killed at the write of the decision; and what one stage's gate measured is what the next one starts from."""
    lax = {"max_steps": 1, "gate": gate(may_fall=100.0)}
    config = recipe(tmp_path / "run", dpo=lax, sft=lax, model=str(project_root / "vtalign/assets/tiny"))
    file = tmp_path / "recipe.yaml"
    file.write_text(dump_config(config))
    argv = [sys.executable, str(SCRIPT), str(file), "os.rename", "01-dpo/gate.json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    first, second = config.stage_folders
    assert (first / "gate/results.json").is_file() and decided(first) is None
    summary = run_recipe(config)
    assert summary.gates["dpo"].met and summary.gates["sft"].met
    assert summary.gates["sft"].before == summary.gates["dpo"].value > 0
    assert (first / "gate-before").is_dir() and not (second / "gate-before").exists()
    assert (first / "gate.log").read_text().count("$ ") == 3 and (second / "gate.log").read_text().count("$ ") == 1


@pytest.mark.slow
def test_one_of_two_processes_evaluates(recipe: Recipe, gate: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    config = recipe(tmp_path / "run", sft={"max_steps": 1, "gate": gate(may_fall=100.0)}, order=("sft",))
    file = tmp_path / "recipe.yaml"
    file.write_text(dump_config(config))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launch, "-m", "vtalign", "train", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1 and (config.output / "model/README.md").is_file()
    assert (config.stage_folders[0] / "gate.log").read_text().count("$ ") == 2
