"""The shipped base is what the README says: good at what is there, weak at when. Measured on a corpus that it has never met."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from vtalign.assets import tiny_checkpoint
from vtalign.models.load import load_video_lm
from vtalign_data.synth import write_corpus
from vtalign_eval.captions import caption_check
from vtalign_eval.config import EvalConfig
from vtalign_eval.run import run_eval

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# 480 training videos ask for 360 held-out families: 1,152 order questions.
VIDEOS, SEED = 480, 20260


@pytest.fixture(scope="module")
def heldout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "corpus"
    write_corpus(folder, VIDEOS, SEED)
    return folder / "heldout"


@pytest.fixture(scope="module")
def numbers(heldout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    config = EvalConfig(
        model=str(tiny_checkpoint()), data=heldout, out=tmp_path_factory.mktemp("base-eval") / "run", device="cpu"
    )
    found: dict[str, Any] = run_eval(config, Console(quiet=True))["vtalign"]
    return found


def test_size() -> None:
    weights = tiny_checkpoint() / "model.safetensors"
    assert weights.stat().st_size < 12e6


def test_sees_what_is_there_at_every_length(numbers: dict[str, Any]) -> None:
    for events in ("1", "2", "3", "4"):
        static = numbers["events"][events]["static"]
        assert static["n"] > 100
        assert static["value"] >= 0.95, (events, static)


def test_sees_the_motion_of_a_single_clip(numbers: dict[str, Any]) -> None:
    assert numbers["events"]["1"]["direction"]["value"] >= 0.95


def test_cannot_tell_the_order_of_events(numbers: dict[str, Any]) -> None:
    order = numbers["aspects"]["order"]["accuracy"]
    assert order["n"] >= 1000
    assert 0.45 <= order["value"] <= 0.60


@pytest.mark.parametrize("aspect", ["direction", "speed", "action", "attribute_change"])
def test_other_temporal_aspects_are_well_below_their_single_clip_level(numbers: dict[str, Any], aspect: str) -> None:
    events = numbers["events"]
    several = [events[count][aspect] for count in ("2", "3", "4")]
    mean = sum(entry["value"] * entry["n"] for entry in several) / sum(entry["n"] for entry in several)
    assert mean <= events["1"][aspect]["value"] - 0.15


def test_describes_single_clips_exactly_and_names_the_right_objects_in_longer_ones(heldout: Path) -> None:
    found = caption_check(load_video_lm(str(tiny_checkpoint()), device="cpu"), heldout)
    assert found["single_clip_exact"]["value"] >= 0.90
    for events in ("2", "3", "4"):
        assert found["by_events"][events]["objects_named"]["value"] >= 0.90, events
    assert found["ended"]["value"] >= 0.99
