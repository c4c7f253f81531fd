import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.errors import GateNotMet, InputError, RunFailed
from vtalign.models.load import load_video_lm
from vtalign.video import isolated
from vtalign_eval.compare import compare_runs
from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval

Make = Callable[..., EvalConfig]
SAMPLES = "samples_temporal-shapes.jsonl"


def measured(folder: Path) -> tuple[str, str]:
    """All that a run concluded, but for the settings that only say how fast it went."""
    results = json.loads((folder / "results.json").read_text())
    for config in (results["config"], results["vtalign"]["config"]):
        del config["batch_size"]
    return json.dumps(results, sort_keys=True), (folder / SAMPLES).read_text()


@pytest.fixture(scope="module")
def finished(tiny_checkpoint: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> EvalConfig:
    """An undisturbed run."""
    out = tmp_path_factory.mktemp("eval") / "run"
    config = EvalConfig(model=str(tiny_checkpoint), data=shapes, out=out, max_new_tokens=6)
    run_eval(config, Console(quiet=True))
    return config


def test_a_run_leaves_results_samples_and_a_table(make_config: Make, finished: EvalConfig) -> None:
    text = StringIO()
    config = make_config()
    results = run_eval(config, Console(file=text, width=120))
    assert json.loads((config.out / "results.json").read_text()) == results
    assert len((config.out / SAMPLES).read_text().splitlines()) == 24
    found = results["vtalign"]
    assert (found["metrics"]["temporal"]["n"], found["metrics"]["static"]["n"]) == (16, 8)
    assert found["metrics"]["temporal_strict"]["n"] == 8 and found["metrics"]["temporal"]["clusters"] == 4
    assert found["frame_policy"]["max_pixels"] == 2304 and found["model_fingerprint"] and found["versions"]["torch"]
    assert found["data"]["question_files"]["questions.jsonl"] and found["data"]["videos"]
    assert "strict on conflict groups" in text.getvalue() and "replies are unparsable" in text.getvalue()
    assert measured(config.out) == measured(finished.out)


def test_with_a_frame_cache_a_second_run_decodes_nothing(
    make_config: Make, finished: EvalConfig, tmp_path: Path, quiet: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a video is decoded again")

    run_eval(make_config(out=tmp_path / "first", frame_cache=tmp_path / "cache"), quiet)
    monkeypatch.setattr(isolated, "WorkerProcess", refuse)
    second = make_config(out=tmp_path / "second", frame_cache=tmp_path / "cache")
    run_eval(second, quiet)
    assert (second.out / SAMPLES).read_text() == (finished.out / SAMPLES).read_text()


def test_batch_size_and_order_of_questions_change_no_result(
    make_config: Make, finished: EvalConfig, shapes: Path, tmp_path: Path, quiet: Console
) -> None:
    config = make_config(batch_size=3)
    run_eval(config, quiet)
    assert measured(config.out) == measured(finished.out)
    shuffled = tmp_path / "data"
    shutil.copytree(shapes, shuffled)
    lines = (shapes / "questions.jsonl").read_text().splitlines(keepends=True)
    (shuffled / "questions.jsonl").write_text("".join(lines[::-1]))
    again = run_eval(make_config(out="reordered", data=shuffled), quiet)
    expected = json.loads((finished.out / "results.json").read_text())
    for results in (again, expected):
        # the file is another one; every number, count and hash of questions is the same
        del results["vtalign"]["data"]["question_files"]
        results["config"]["data"] = results["vtalign"]["config"]["data"] = "data"
    assert json.loads(json.dumps(again)) == expected


def test_replies_are_logged_in_one_order_whatever_the_batches(make_config: Make, quiet: Console) -> None:
    """A run that is taken up has others than one that nobody disturbed."""
    logs = set()
    for size in (1, 3, 8):
        config = make_config(out=f"batches-of-{size}", control="text", batch_size=size)
        run_eval(config, quiet)
        logs.add((config.out / "predictions.jsonl").read_bytes())
    assert len(logs) == 1


@pytest.mark.parametrize("kept", [0.0, 0.4, 0.97])
def test_what_a_kill_left_is_taken_up_to_the_same_result(
    make_config: Make, finished: EvalConfig, quiet: Console, kept: float
) -> None:
    """The log cut at any byte, a torn line included, and no results yet."""
    config = make_config()
    config.out.mkdir()
    shutil.copy(finished.out / "run.yaml", config.out)
    log = (finished.out / "predictions.jsonl").read_bytes()
    (config.out / "predictions.jsonl").write_bytes(log[: int(kept * len(log))])
    run_eval(config, quiet)
    assert measured(config.out) == measured(finished.out)
    answered = json.loads((config.out / "timing.json").read_text())["answered"]
    assert answered == 24 - log[: int(kept * len(log))].count(b"\n")


@pytest.mark.slow
def test_a_run_killed_with_sigkill_is_taken_up(make_config: Make, finished: EvalConfig, quiet: Console) -> None:
    config = make_config(batch_size=1)
    code = "import sys; from vtalign_eval.config import EvalConfig; from vtalign_eval.run import run_eval; "
    code += "run_eval(EvalConfig.model_validate_json(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", code, config.model_dump_json()], env=environment, stderr=subprocess.DEVNULL)
    log = config.out / "predictions.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= 3):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert child.returncode == -signal.SIGKILL and not (config.out / "results.json").exists()
    run_eval(config, quiet)
    assert measured(config.out) == measured(finished.out)


def test_a_finished_run_is_not_answered_again(make_config: Make, finished: EvalConfig, quiet: Console) -> None:
    before = measured(finished.out)
    run_eval(finished, quiet)
    assert json.loads((finished.out / "timing.json").read_text())["answered"] == 0
    assert measured(finished.out) == before


def test_the_same_weights_twice_differ_by_nothing(make_config: Make, finished: EvalConfig, quiet: Console) -> None:
    config = make_config(out="again")
    run_eval(config, quiet)
    comparison = compare_runs(finished.out, config.out, console=quiet)
    assert comparison["a"]["model_fingerprint"] == comparison["b"]["model_fingerprint"]
    for entry in comparison["metrics"].values():
        assert (entry["difference"], entry["p_value"]) == (0.0, None), "four families are too few for a p-value"


@pytest.mark.parametrize("control", ["text", "one-frame", "repeated-frame", "shuffled", "reversed"])
def test_controls_run_and_are_not_mistaken_for_the_real_thing(
    make_config: Make, finished: EvalConfig, quiet: Console, control: str
) -> None:
    config = make_config(control=control)
    results = run_eval(config, quiet)
    assert results["vtalign"]["control"] == control
    with pytest.raises(InputError, match=f"control is 'none' in A, '{control}' in B"):
        compare_runs(finished.out, config.out, console=quiet)


def test_controls_beside_a_run_give_its_gains(make_config: Make, finished: EvalConfig, quiet: Console) -> None:
    text = StringIO()
    config = make_config(controls=("text", "shuffled"))
    results = run_eval(config, Console(file=text, width=140))
    gains = results["vtalign"]["gains"]
    assert list(gains) == ["text", "shuffled"] and "gain over controls" in text.getvalue()
    for control, found in gains.items():
        alone = json.loads((config.out / "controls" / control / "results.json").read_text())["vtalign"]
        assert alone["control"] == control
        for name, entry in found["metrics"].items():
            assert entry["control"] == pytest.approx(alone["metrics"][name]["value"])
            assert entry["gain"] == pytest.approx(results["vtalign"]["metrics"][name]["value"] - entry["control"])
    # the run itself is the one without controls, and may be given them later without asking again
    assert (config.out / SAMPLES).read_text() == (finished.out / SAMPLES).read_text()
    later = make_config(out="later")
    run_eval(later, quiet)
    assert run_eval(later.model_copy(update={"controls": config.controls}), quiet)["vtalign"]["gains"] == gains
    assert json.loads((later.out / "timing.json").read_text())["answered"] == 0


def test_frame_settings_change_the_policy_and_are_recorded(make_config: Make, quiet: Console) -> None:
    results = run_eval(make_config(frames={"fps": 4.0}), quiet)
    assert results["vtalign"]["frame_policy"]["fps"] == 4.0
    assert results["vtalign"]["frame_policy"]["max_pixels"] == 2304
    with pytest.raises(InputError, match=r"frames: .*max_pixels 2304 leaves no room for one 96x96 tile"):
        run_eval(make_config(out="impossible", frames={"multiple": 96}), quiet)


def test_bad_videos_count_as_wrong_answers_and_are_named(make_config: Make, shapes: Path, tmp_path: Path, quiet: Console) -> None:
    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    (data / "videos" / "f0-a.mp4").write_bytes(b"<html>")
    (data / "videos" / "f2-b.mp4").unlink()
    text = StringIO()
    config = make_config(data=data)
    results = run_eval(config, Console(file=text, width=120))
    assert results["vtalign"]["counts"]["decode_failed"] == 6
    assert results["vtalign"]["metrics"]["accuracy"]["n"] == 24
    assert results["vtalign"]["decode_failures"]["missing"] == {"questions": 3, "videos": ["videos/f2-b.mp4"]}
    assert "missing: 1 videos could not be read (videos/f2-b.mp4): 3 questions count as wrong" in " ".join(
        text.getvalue().split()
    )
    rows = [json.loads(line) for line in (config.out / SAMPLES).read_text().splitlines()]
    assert {row["score"] for row in rows if row["failure"]} == {0.0}


def test_when_no_video_can_be_read_the_run_failed(make_config: Make, shapes: Path, tmp_path: Path, quiet: Console) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(shapes / "questions.jsonl", tmp_path / "data")
    with pytest.raises(RunFailed, match="not one of its videos could be read"):
        run_eval(make_config(data=tmp_path / "data"), quiet)
    # without video there is nothing to read
    assert (
        run_eval(make_config(out="text", data=tmp_path / "data", control="text"), quiet)["vtalign"]["counts"]["decode_failed"]
        == 0
    )


def test_the_limit_takes_the_first_questions(make_config: Make, quiet: Console) -> None:
    results = run_eval(make_config(limit=4), quiet)
    assert results["n-samples"]["temporal-shapes"] == {"original": 24, "effective": 4}
    assert results["vtalign"]["metrics"]["temporal_strict"]["n"] == 1  # order; the sibling's direction question is cut off


def test_the_gate_closes_after_everything_is_written(make_config: Make, quiet: Console) -> None:
    config = make_config(fail_under=1.0)
    with pytest.raises(GateNotMet, match=r"temporal accuracy 0\.\d{4} is below 1\.0"):
        run_eval(config, quiet)
    assert (config.out / "results.json").is_file()
    run_eval(config.model_copy(update={"fail_under": 0.0}), quiet)
    with pytest.raises(GateNotMet, match=r"parse rate 0\.\d{4} is below 1\.0"):
        run_eval(config.model_copy(update={"fail_on": "parse_rate"}), quiet)


def test_a_gate_on_what_is_not_measured_is_refused_before_anything_is_asked(make_config: Make, quiet: Console) -> None:
    config = make_config(fail_under=0.5, fail_on="parse")
    with pytest.raises(InputError, match="fail_on 'parse': temporal-shapes does not measure it"):
        run_eval(config, quiet)
    with pytest.raises(InputError, match="fail_on 'same_answer_rate': is no gate, because more of it is not better"):
        run_eval(make_config(fail_under=0.5, fail_on="same_answer_rate"), quiet)
    assert not config.out.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"benchmark": "temporal"}, "benchmark 'temporal': unknown"),
        ({"data": Path("nowhere")}, "nowhere: no such data folder"),
        ({"model": "runs/sft/nothing"}, "runs/sft/nothing: no such model folder"),
    ],
)
def test_wrong_input_is_one_line(make_config: Make, quiet: Console, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        run_eval(make_config(**changes), quiet)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_folder_of_another_run_is_refused(make_config: Make, finished: EvalConfig, tmp_path: Path, quiet: Console) -> None:
    with pytest.raises(InputError, match=r"holds another run \(control: 'none' there, 'text' asked\)"):
        run_eval(finished.model_copy(update={"control": "text"}), quiet)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").touch()
    with pytest.raises(InputError, match="not empty and holds no run"):
        run_eval(make_config(), quiet)


def test_weights_that_changed_under_the_same_path_are_noticed(
    make_config: Make, tiny_checkpoint: Path, tmp_path: Path, quiet: Console
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, model)
    config = make_config(model=str(model), limit=3)
    run_eval(config, quiet)
    lm = load_video_lm(model, device="cpu")
    lm.model.lm_head.weight.data.mul_(1.5)
    lm.save(model)
    with pytest.raises(InputError, match="of other weights, processor or videos"):
        run_eval(config, quiet)
