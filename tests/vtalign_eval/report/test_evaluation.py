"""The page of a real run: made at its end, made again the same, and never in the way of the numbers."""

import json
import re
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from vtalign.errors import InputError
from vtalign_eval.config import EvalConfig
from vtalign_eval.report.evaluation import report_run
from vtalign_eval.run import run_eval

Make = Callable[..., EvalConfig]


def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tiny_checkpoint: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> EvalConfig:
    """A run with one control."""
    out = tmp_path_factory.mktemp("eval") / "run"
    config = EvalConfig(model=str(tiny_checkpoint), data=shapes, out=out, max_new_tokens=6, controls=("reversed",))
    run_eval(config, Console(quiet=True))
    return config


@pytest.fixture
def copied(finished: EvalConfig, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.out, tmp_path / "copied"))


def test_a_run_and_each_control_leave_a_page(finished: EvalConfig) -> None:
    text = page(finished.out)
    found = json.loads((finished.out / "results.json").read_text())["vtalign"]
    assert f"{100 * found['metrics']['temporal']['value']:.1f} %" in text
    assert text.count("<article") == 8, "as many as there are conflict groups"
    assert text.count("shown to the model (all") > 8 and "reversed" in text
    assert "How much of it needs time" in text
    assert "Of 8 groups:" in text and found["data"]["videos"] in text and found["model_fingerprint"] in text
    control = page(finished.out / "controls" / "reversed")
    assert "shown to the model: reversed (all" in control and "under the control reversed" in control


def test_bars_of_a_control_have_the_intervals_of_its_own_run(finished: EvalConfig, copied: Path) -> None:
    path = copied / "controls" / "reversed" / "results.json"
    results = json.loads(path.read_text())
    for metric in results["vtalign"]["metrics"].values():
        metric["ci95"] = [0.25, 0.75]  # four families give none
    path.write_text(json.dumps(results))
    report_run(copied)
    assert page(copied).count('class="bar-whisker"') > 0
    shutil.rmtree(copied / "controls")
    report_run(copied)
    assert page(copied).count('class="bar-whisker"') == 0
    assert page(copied).count('class="bar-row"') == page(finished.out).count('class="bar-row"')


def test_the_same_run_gives_the_same_bytes(finished: EvalConfig, copied: Path) -> None:
    (copied / "report.html").unlink()
    report_run(copied)
    assert page(copied) == page(finished.out)


def test_videos_that_are_gone_or_others_now_cost_their_strips_alone(copied: Path, shapes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    shutil.copy(data / "videos/f1-a.mp4", data / "videos/f0-a.mp4")
    (data / "videos/f0-b.mp4").unlink()
    results = json.loads((copied / "results.json").read_text())
    results["vtalign"]["config"]["data"] = str(data)
    (copied / "results.json").write_text(json.dumps(results))
    report_run(copied)
    # two aspects ask about each
    assert page(copied).count("no frames: the file has changed since the run") == page(copied).count("no frames: missing") == 2
    shutil.rmtree(data)
    report_run(copied)
    assert "<img" not in page(copied) and "no longer in" in page(copied) and page(copied).count("<article") == 8


def test_columns_and_metrics_of_later_releases_are_shown(copied: Path) -> None:
    results = json.loads((copied / "results.json").read_text())
    found = results["vtalign"]
    found["metrics"] |= {"temporal_likelihood": found["metrics"]["temporal"], "by_moonlight": found["metrics"]["temporal"]}
    for columns in found["aspects"].values():
        columns["judged"] = columns["accuracy"]
    found["counts"]["judge_failed"] = 77
    (copied / "results.json").write_text(json.dumps(results))
    report_run(copied)
    text = page(copied)
    for said in ("Temporal, by likelihood of the options", "by moonlight", "with judge %", "judge failed</td>"):
        assert said in text


def test_a_run_of_before_pages_gets_one(copied: Path, finished: EvalConfig) -> None:
    for name in ("report.html", "videos.json"):
        (copied / name).unlink()
    report_run(copied)
    assert page(copied) == page(finished.out)


def test_an_unfinished_run_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished evaluation"):
        report_run(tmp_path)


def test_groups_with_a_lost_video_are_named_as_such(make_config: Make, shapes: Path, tmp_path: Path, quiet: Console) -> None:
    data = tmp_path / "data"
    shutil.copytree(shapes, data)
    (data / "videos" / "f0-a.mp4").write_bytes(b"<html>")
    config = make_config(data=data)
    run_eval(config, quiet)
    text = page(config.out)
    assert "2 no reply about one of the siblings" in text and text.count("no reply about one of the siblings</h3>") == 2
    lost = re.search(r"<td>(\w+)</td><td class=\"number\">3</td><td class=\"number\">1</td><td>videos/f0-a.mp4</td>", text)
    assert lost, "what could not be read names the video, its reason and the three questions"


def test_a_page_that_cannot_be_made_fails_no_run(make_config: Make) -> None:
    config = make_config(limit=3)
    (config.out / "report.html").mkdir(parents=True)
    text = StringIO()
    with pytest.raises(InputError, match="not empty"):
        run_eval(config, Console(file=text))
    (config.out / "report.html").rmdir()
    run_eval(config, Console(quiet=True))
    (config.out / "report.html").unlink()
    (config.out / "report.html").mkdir()
    results = run_eval(config, Console(file=text, width=200))
    assert "report.html could not be made: IsADirectoryError" in text.getvalue()
    assert json.loads((config.out / "results.json").read_text()) == results
