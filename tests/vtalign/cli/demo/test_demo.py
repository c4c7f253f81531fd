"""The whole demo, small: its outputs are there and well-formed, and running it again repeats nothing."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from vtalign.cli.demo import run_demo
from vtalign.cli.demo.arms import FULL_ARMS, QUICK_ARMS
from vtalign.cli.demo.config import DemoConfig
from vtalign.cli.shipped import config_path
from vtalign.config import load_config
from vtalign.errors import InputError
from vtalign.preference.schema import read_pairs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SMALL = ("videos=16", "seeds=2", "dpo.max_steps=6", "sft.max_steps=4", "build.balance.max_accuracy=1")


@pytest.fixture(scope="module")
def config() -> DemoConfig:
    return load_config(DemoConfig, config_path("demo"), SMALL)


@pytest.fixture(scope="module")
def folder(config: DemoConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "run"
    run_demo(config, out, 0, full=False, from_scratch=False)
    return out


def test_summary_has_the_promised_shape(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary) == {"seconds", "seed", "arms", "gain"} and summary["seed"] == 0
    assert tuple(summary["arms"]) == QUICK_ARMS
    for arm in summary["arms"].values():
        assert all(0 <= arm[name] <= 1 for name in ("temporal", "temporal_strict", "static")) and arm["n"] > 0
    assert list(summary["gain"]) == [f"dpo_then_sft - {name}" for name in ("sft_only", "sft_only_matched", "chosen_sft_then_sft")]
    for name, gain in summary["gain"].items():
        other = name.removeprefix("dpo_then_sft - ")
        difference = summary["arms"]["dpo_then_sft"]["temporal"] - summary["arms"][other]["temporal"]
        assert gain["temporal"] == pytest.approx(difference)
        assert (gain["ci95"], gain["p_value"], gain["static_ci95"]) == (None, None, None), "so few videos are too few families"


def test_report_is_one_offline_page_with_pictures(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert "dpo_then_sft" in page and "data:image/png;base64," in page
    assert 'src="http' not in page and 'href="http' not in page


def test_running_it_again_repeats_no_training_and_no_answer(config: DemoConfig, folder: Path) -> None:
    seed = folder / "seed-0"
    watched = [*seed.rglob("model.safetensors"), *seed.rglob("predictions.jsonl"), *seed.rglob("*.parquet"), *seed.rglob("*.mp4")]
    before = {path: path.stat().st_mtime_ns for path in watched}
    first = json.loads((folder / "summary.json").read_text())
    run_demo(config, folder, 0, full=False, from_scratch=False)
    again = json.loads((folder / "summary.json").read_text())
    assert {path: path.stat().st_mtime_ns for path in watched} == before
    assert {**again, "seconds": 0} == {**first, "seconds": 0}


def test_kills_at_random_moments_change_nothing(config: DemoConfig, folder: Path, tmp_path: Path) -> None:
    draw = random.Random(5)
    moments = [round(draw.uniform(2, 9) * (1 + kill / 2), 1) for kill in range(7)]
    argv = [sys.executable, "-m", "vtalign", "demo", "demo", *SMALL, "--out", str(tmp_path / "run")]
    left_unfinished = 0
    for seconds in moments:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            left_unfinished += 1
            process.kill()
            process.wait()
    assert left_unfinished >= 5, f"killed after {moments} s: the demo was done before"
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    one, other = folder / "seed-0", tmp_path / "run" / "seed-0"
    assert sorted(map(repr, read_pairs(one / "pairs" / "pairs"))) == sorted(map(repr, read_pairs(other / "pairs" / "pairs")))
    weights = sorted(path.relative_to(one) for path in one.glob("arms/*/model/model.safetensors"))
    assert len(weights) == len(QUICK_ARMS) - 1
    for path in weights:
        assert (one / path).read_bytes() == (other / path).read_bytes(), f"{path} differs; killed after {moments} s"
    summaries = [json.loads((run.parent / "summary.json").read_text()) for run in (one, other)]
    assert {**summaries[0], "seconds": 0} == {**summaries[1], "seconds": 0}


def test_full_adds_arms_and_seeds_to_what_is_there(config: DemoConfig, folder: Path) -> None:
    summary = run_demo(config, folder, 0, full=True, from_scratch=False)
    assert summary["seed"] == [0, 1] and tuple(summary["arms"]) == FULL_ARMS
    assert all(len(gain["per_seed"]) == 2 for gain in summary["gain"].values())


def test_a_folder_of_another_demo_is_refused(config: DemoConfig, folder: Path) -> None:
    with pytest.raises(InputError, match="holds another run"):
        run_demo(config, folder, 7, full=False, from_scratch=False)
