"""Videos that vanish or cannot be read, in a run and between its attempts: counted, and never a better score."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from vtalign.errors import InputError
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.config import EvalConfig
from vtalign_eval.gains import gains_over
from vtalign_eval.metrics import columns_of
from vtalign_eval.outcomes import Outcome
from vtalign_eval.run import run_eval

Make = Callable[..., EvalConfig]
BENCHMARK = find_benchmark("temporal-shapes")
SCORES = ("accuracy", "temporal", "temporal_strict", "static", "temporal_lenient", "static_lenient")


@pytest.fixture
def data(shapes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shapes, tmp_path / "data"))


def test_a_video_that_vanished_between_two_attempts_stops_the_second_which_loses_nothing(
    make_config: Make, data: Path, tmp_path: Path, quiet: Console
) -> None:
    whole = make_config(data=data, out="whole")
    run_eval(whole, quiet)
    stopped = make_config(data=data)
    stopped.out.mkdir()
    shutil.copy(whole.out / "run.yaml", stopped.out)
    log = stopped.out / "predictions.jsonl"
    log.write_bytes((whole.out / "predictions.jsonl").read_bytes()[:2000])
    kept = log.read_bytes()
    video = data / "videos" / "f1-b.mp4"
    video.rename(tmp_path / "away.mp4")
    with pytest.raises(InputError, match=r"holds another run \(data_hashes\.videos"):
        run_eval(stopped, quiet)
    assert log.read_bytes() == kept and not (stopped.out / "results.json").exists()
    (tmp_path / "away.mp4").rename(video)
    run_eval(stopped, quiet)
    for name in ("results.json", "samples_temporal-shapes.jsonl", "predictions.jsonl"):
        assert (stopped.out / name).read_bytes() == (whole.out / name).read_bytes()


def test_a_bad_video_among_good_ones_lowers_the_score_and_leaves_the_other_replies(
    make_config: Make, data: Path, quiet: Console
) -> None:
    good = run_eval(make_config(data=data, out="good"), quiet)["vtalign"]["metrics"]
    (data / "videos" / "f0-a.mp4").write_bytes((data / "videos" / "f0-a.mp4").read_bytes()[:300])
    config = make_config(data=data, out="bad")
    results = run_eval(config, quiet)["vtalign"]
    assert results["counts"]["decode_failed"] == 3 and results["metrics"]["accuracy"]["n"] == 24
    for name in SCORES:
        assert results["metrics"][name]["value"] <= good[name]["value"]
    (entry,) = results["decode_failures"].values()
    assert entry == {"questions": 3, "videos": ["videos/f0-a.mp4"]}
    replies = [
        {row["question_id"]: row["reply"] for row in map(json.loads, (folder / "predictions.jsonl").read_text().splitlines())}
        for folder in (config.out, config.out.with_name("good"))
    ]
    assert len(replies[0]) == 21 and replies[0].items() <= replies[1].items()


def test_each_unreadable_video_has_its_own_reason(make_config: Make, data: Path, tmp_path: Path, quiet: Console) -> None:
    """Two files without a hash, asked the same questions."""
    (data / "videos" / "f0-a.mp4").unlink()
    (data / "videos" / "f1-a.mp4").rename(tmp_path / "elsewhere.mp4")
    (data / "videos" / "f1-a.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    found = run_eval(make_config(data=data), quiet)["vtalign"]["decode_failures"]
    assert found == {
        "missing": {"questions": 3, "videos": ["videos/f0-a.mp4"]},
        "outside_root": {"questions": 3, "videos": ["videos/f1-a.mp4"]},
    }


def test_without_video_the_same_words_are_asked_once(make_config: Make, quiet: Console) -> None:
    config = make_config(control="text")
    assert run_eval(config, quiet)["vtalign"]["counts"]["questions"] == 24
    # three texts, whatever the video; and so a kill between siblings leaves no other file
    assert len((config.out / "predictions.jsonl").read_text().splitlines()) == 3


def as_failed(outcomes: Sequence[Outcome], lost: frozenset[int]) -> list[Outcome]:
    """Outcomes as they are where the videos of some families cannot be read."""
    failed = {
        "reply": None,
        "choice": None,
        "correct": False,
        "lenient_choice": None,
        "lenient_correct": False,
        "failure": "corrupt",
    }
    return [replace(o, **failed) if number in lost else o for number, o in enumerate(outcomes)]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def answered() -> Callable[[Sequence[bool]], list[Outcome]]:
    def make(right: Sequence[bool]) -> list[Outcome]:
        made = []
        for number, correct in enumerate(right):
            answer = ("left", "right")[number % 2]
            said = answer if correct else ("right", "left")[number % 2]
            made.append(
                Outcome(f"q{number}", f"{number}.mp4", f"f{number // 2}", "order", f"g{number // 2}", 1, "which ?",
                        ("left", "right"), answer, said, said, correct, said, correct)
            )  # fmt: skip
        return made

    return make


RIGHT = st.lists(st.booleans(), min_size=8, max_size=8)
LOST = st.frozensets(st.integers(0, 7), max_size=8)


@given(right=RIGHT, lost=LOST)
def test_no_failure_raises_a_score(
    answered: Callable[[Sequence[bool]], list[Outcome]], right: list[bool], lost: frozenset[int]
) -> None:
    outcomes = answered(right)
    whole, part = columns_of(outcomes, BENCHMARK), columns_of(as_failed(outcomes, lost), BENCHMARK)
    for name in SCORES[:3]:
        ours, theirs = part["metrics", name].values, whole["metrics", name].values
        assert len(ours) == len(theirs) and ours.mean() <= theirs.mean()
    same = part["metrics", "same_answer_rate"].values, whole["metrics", "same_answer_rate"].values
    assert len(same[0]) == len(same[1]) and same[0].mean() >= same[1].mean()  # less is better


@given(right=RIGHT, shown=RIGHT, lost=LOST)
def test_no_failure_under_a_control_raises_the_gain_over_it(
    answered: Callable[[Sequence[bool]], list[Outcome]], right: list[bool], shown: list[bool], lost: frozenset[int]
) -> None:
    plain, control = answered(right), as_failed(answered(shown), lost)
    found = gains_over(plain, control, BENCHMARK, seed=0)
    assert found["failed"] == len(lost)
    difference = sum(right[n] - shown[n] for n in range(8) if n not in lost) / 8
    assert found["metrics"]["temporal"]["gain"] == pytest.approx(difference)
