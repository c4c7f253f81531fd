import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy import stats

from vtalign.artifacts import write_json
from vtalign.errors import InputError
from vtalign_eval.benchmarks import find_benchmark
from vtalign_eval.compare import compare_pooled, compare_runs
from vtalign_eval.outcomes import Outcome, samples_file, write_samples
from vtalign_eval.results import results_of
from vtalign_eval.statistics import holm

BENCHMARK = find_benchmark("temporal-shapes")
Make = Callable[..., Outcome]


def save_run(folder: Path, outcomes: Sequence[Outcome], **changes: Any) -> Path:
    """A finished run with these outcomes."""
    folder.mkdir()
    version = changes.pop("benchmark_version", 1)
    record = {
        "benchmark": "temporal-shapes",
        "config": {"model": f"models/{folder.name}", "seed": 0},
        "control": "none",
        "max_new_tokens": 32,
        "data": {"questions": len(outcomes), "question_files": {"questions.jsonl": "abc"}, "videos": "videos-1"},
        "frame_policy": {"fps": 2.0, "max_frames": 64},
        "model_fingerprint": f"model-{folder.name}",
    }
    results = results_of(outcomes, replace(BENCHMARK, version=version), 0, record | changes)
    write_json(folder / "results.json", results)
    write_samples(folder / samples_file("temporal-shapes"), outcomes, BENCHMARK)
    return folder


def answered(make: Make, right: float, seed: int, *, families: int = 60) -> list[Outcome]:
    """Ten questions a family: four conflict groups of two and two static questions, right with a probability."""
    rng = random.Random(seed)
    outcomes = []
    for family in range(families):
        for number in range(8):
            aspect = ("order", "direction", "speed", "action")[number // 2]
            place = {"aspect": aspect, "group": f"f{family}-{aspect}", "answer": ("left", "right")[number % 2]}
            outcomes.append(make(f"f{family}:{number}", right=rng.random() < right, **place))
        outcomes += [make(f"f{family}:s{n}", right=rng.random() < 0.95, aspect="static") for n in range(2)]
    return outcomes


@pytest.fixture
def runs(tmp_path: Path, make_outcome: Make) -> tuple[Path, Path]:
    a = save_run(tmp_path / "a", answered(make_outcome, 0.5, 0))
    b = save_run(tmp_path / "b", answered(make_outcome, 0.65, 1))
    return a, b


def test_a_run_against_itself_shows_no_difference(runs: tuple[Path, Path], quiet: Console) -> None:
    comparison = compare_runs(runs[0], runs[0], console=quiet)
    entries = [*comparison["metrics"].values(), *(e for aspect in comparison["aspects"].values() for e in aspect.values())]
    assert len(entries) > 10
    for entry in entries:
        assert (entry["difference"], entry["ci95"], entry["p_value"], entry["minimum_detectable"]) == (0.0, [0.0, 0.0], 1.0, None)
        assert entry["mcnemar"] == entry["mcnemar"] | {"fixed": 0, "broken": 0, "p_exact": 1.0, "p_mid": 1.0}
    assert comparison["flipped"] == {"fixed": [], "broken": []}


def test_a_comparison_does_not_go_into_the_folder_of_a_run(runs: tuple[Path, Path], quiet: Console) -> None:
    with pytest.raises(InputError, match=r"choose an(other| empty) output folder"):
        compare_runs(*runs, out=runs[0], console=quiet)


def test_a_better_model_is_found_better_and_the_same_elsewhere(runs: tuple[Path, Path], quiet: Console) -> None:
    comparison = compare_runs(*runs, console=quiet)
    temporal, static = comparison["metrics"]["temporal"], comparison["metrics"]["static"]
    assert temporal["difference"] == pytest.approx(temporal["b"] - temporal["a"])
    assert temporal["n"] == 480 and temporal["clusters"] == 60
    assert temporal["p_value"] < 0.01 and temporal["ci95"][0] > 0
    assert static["p_value"] > 0.05 and static["ci95"][0] <= 0 <= static["ci95"][1]
    assert comparison["metrics"]["temporal_strict"]["n"] == 240


def test_swapping_the_runs_mirrors_every_number(runs: tuple[Path, Path], quiet: Console) -> None:
    there, back = compare_runs(*runs, console=quiet), compare_runs(*reversed(runs), console=quiet)
    for name, entry in there["metrics"].items():
        mirror = back["metrics"][name]
        assert mirror["difference"] == -entry["difference"]
        assert mirror["ci95"] == pytest.approx([-entry["ci95"][1], -entry["ci95"][0]], abs=1e-12)
        assert mirror["p_value"] == entry["p_value"]
    assert there["flipped"]["fixed"] == [flip | {"a": flip["b"], "b": flip["a"]} for flip in back["flipped"]["broken"]]


def test_mcnemar_and_holm_are_those_of_the_flips(runs: tuple[Path, Path], quiet: Console) -> None:
    comparison = compare_runs(*runs, console=quiet)
    for aspect, entries in comparison["aspects"].items():
        fixed = sum(flip["aspect"] == aspect for flip in comparison["flipped"]["fixed"])
        broken = sum(flip["aspect"] == aspect for flip in comparison["flipped"]["broken"])
        test = entries["accuracy"]["mcnemar"]
        assert (test["fixed"], test["broken"]) == (fixed, broken)
        assert test["p_exact"] == pytest.approx(stats.binomtest(fixed, fixed + broken).pvalue)
        assert entries["accuracy"]["p_holm"] >= entries["accuracy"]["p_value"]
    raw = {aspect: entries["accuracy"]["mcnemar"]["p_exact"] for aspect, entries in comparison["aspects"].items()}
    corrected = {aspect: entries["accuracy"]["mcnemar"]["p_holm"] for aspect, entries in comparison["aspects"].items()}
    assert corrected == pytest.approx(holm(raw)) and corrected != raw
    smallest = min(entries["accuracy"]["p_value"] for entries in comparison["aspects"].values())
    assert min(e["accuracy"]["p_holm"] for e in comparison["aspects"].values()) == pytest.approx(min(1, 5 * smallest))


def test_pairing_is_by_question_not_by_line(tmp_path: Path, make_outcome: Make, runs: tuple[Path, Path], quiet: Console) -> None:
    outcomes = answered(make_outcome, 0.65, 1)
    shuffled = save_run(tmp_path / "shuffled", random.Random(5).sample(outcomes, len(outcomes)))
    expected, found = compare_runs(*runs, console=quiet), compare_runs(runs[0], shuffled, console=quiet)
    assert found["metrics"] == expected["metrics"] and found["aspects"] == expected["aspects"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"control": "text"}, "control is 'none' in A, 'text' in B"),
        ({"frame_policy": {"fps": 1.0, "max_frames": 64}}, "frame policy fps is 2.0 in A, 1.0 in B"),
        ({"benchmark_version": 2}, "benchmark version is 1 in A, 2 in B"),
        ({"max_new_tokens": 8}, "max new tokens is 32 in A, 8 in B"),
        ({"data": {"questions": 600, "question_files": {"questions.jsonl": "xyz"}, "videos": "videos-1"}}, "data question_files"),
    ],
)
def test_runs_that_differ_in_more_than_the_model_are_refused_unless_forced(
    tmp_path: Path, make_outcome: Make, runs: tuple[Path, Path], quiet: Console, changes: dict[str, Any], message: str
) -> None:
    other = save_run(tmp_path / "other", answered(make_outcome, 0.6, 2), **changes)
    with pytest.raises(InputError) as error:
        compare_runs(runs[0], other, console=quiet)
    assert message in str(error.value) and "--force" in str(error.value)
    forced = compare_runs(runs[0], other, force=True, console=quiet)
    assert len(forced["forced"]) == 1 and message in forced["forced"][0]


HERE = {"model": "m", "seed": 0, "reader": "pyav", "positions": "trained", "server": None}


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ({}, {"reader": "opencv"}, "reader is 'pyav' in A, 'opencv' in B"),
        ({}, {"positions": "library"}, "positions is 'trained' in A, 'library' in B"),
        ({}, {"server": {"images": "jpeg"}}, "images is 'without loss' in A, 'jpeg' in B"),
        ({"server": {"images": "png"}}, {"server": {"images": "jpeg"}}, "images is 'without loss' in A, 'jpeg' in B"),
        ({}, {"server": {"images": "png"}}, None),
        # where a server puts text is not known: the setting of a checkpoint says nothing about it
        ({"positions": "library"}, {"server": {"images": "png"}}, None),
    ],
)
def test_how_frames_reach_the_model_must_agree(
    tmp_path: Path,
    make_outcome: Make,
    quiet: Console,
    a: dict[str, Any],
    b: dict[str, Any],
    message: str | None,
) -> None:
    outcomes = answered(make_outcome, 0.5, 0, families=4)
    folders = [save_run(tmp_path / name, outcomes, config=HERE | changes) for name, changes in (("a", a), ("b", b))]
    if message is None:
        assert compare_runs(*folders, console=quiet)["forced"] == []
        return
    with pytest.raises(InputError, match=message):
        compare_runs(*folders, console=quiet)
    assert compare_runs(*folders, force=True, console=quiet)["forced"] == [message]


@pytest.mark.parametrize("older", [{"model": "m", "seed": 0}, {"model": "m", "seed": 0, "reader": "opencv"}])
def test_what_an_older_run_does_not_say_is_no_difference(
    tmp_path: Path, make_outcome: Make, quiet: Console, older: dict[str, Any]
) -> None:
    outcomes = answered(make_outcome, 0.5, 0, families=4)
    new = HERE | {"reader": "opencv", "positions": "library"}
    folders = [save_run(tmp_path / name, outcomes, config=config) for name, config in (("a", older), ("b", new))]
    assert compare_runs(*folders, console=quiet)["forced"] == []


def test_without_video_no_frames_differ(tmp_path: Path, make_outcome: Make, quiet: Console) -> None:
    outcomes = answered(make_outcome, 0.5, 0, families=4)
    configs = {"a": HERE, "b": HERE | {"reader": "decord", "server": {"images": "jpeg"}}}
    folders = [save_run(tmp_path / name, outcomes, config=config, control="text") for name, config in configs.items()]
    assert compare_runs(*folders, console=quiet)["forced"] == []


def test_different_questions_are_refused_and_forced_to_what_is_shared(
    tmp_path: Path, make_outcome: Make, runs: tuple[Path, Path], quiet: Console
) -> None:
    part = save_run(tmp_path / "part", [o for o in answered(make_outcome, 0.6, 2) if o.question_id != "f0:0"])
    with pytest.raises(InputError, match="1 questions are only in A and 0 only in B"):
        compare_runs(runs[0], part, console=quiet)
    forced = compare_runs(runs[0], part, force=True, console=quiet)
    assert forced["metrics"]["temporal"]["n"] == 479
    assert forced["metrics"]["temporal_strict"]["n"] == 239  # the group that lost a member counts no more


def test_a_run_of_another_benchmark_is_refused_and_forced_to_the_questions_of_both(
    tmp_path: Path, make_outcome: Make, runs: tuple[Path, Path], quiet: Console
) -> None:
    other = save_run(tmp_path / "other", answered(make_outcome, 0.6, 2))
    results = json.loads((other / "results.json").read_text())
    results["vtalign"]["benchmark"], results["versions"] = "my-shapes", {"my-shapes": 1}
    write_json(other / "results.json", results)
    (other / samples_file("temporal-shapes")).rename(other / samples_file("my-shapes"))
    with pytest.raises(InputError, match="benchmark is 'temporal-shapes' in A, 'my-shapes' in B"):
        compare_runs(runs[0], other, console=quiet)
    assert compare_runs(runs[0], other, force=True, console=quiet)["metrics"]["temporal"]["n"] == 480


def test_shuffled_controls_of_different_seeds_are_refused(tmp_path: Path, make_outcome: Make, quiet: Console) -> None:
    outcomes = answered(make_outcome, 0.5, 0, families=4)
    a = save_run(tmp_path / "s0", outcomes, control="shuffled")
    b = save_run(tmp_path / "s1", outcomes, control="shuffled", config={"model": "m", "seed": 1})
    with pytest.raises(InputError, match="seed of the shuffled control is 0 in A, 1 in B"):
        compare_runs(a, b, console=quiet)


def test_pooling_resamples_a_family_with_all_its_seeds(tmp_path: Path, make_outcome: Make, quiet: Console) -> None:
    pairs = []
    for seed in range(3):
        a = save_run(tmp_path / f"a{seed}", answered(make_outcome, 0.5, 10 + seed))
        pairs.append((a, save_run(tmp_path / f"b{seed}", answered(make_outcome, 0.55, 20 + seed))))
    pooled = compare_pooled(pairs, console=quiet)
    assert len(pooled["pairs"]) == 3
    temporal = pooled["metrics"]["temporal"]
    assert (temporal["n"], temporal["clusters"]) == (3 * 480, 60)
    assert pooled["metrics"]["temporal_strict"]["n"] == 3 * 240
    assert temporal["difference"] == pytest.approx(sum(pair["temporal"]["difference"] for pair in pooled["pairs"]) / 3)
    # the same seed three times is no more evidence than once
    once, thrice = compare_runs(*pairs[0], console=quiet), compare_pooled([pairs[0]] * 3, console=quiet)
    for field in ("difference", "ci95", "p_value", "standard_error"):
        assert thrice["metrics"]["temporal"][field] == pytest.approx(once["metrics"]["temporal"][field])


def test_the_comparison_is_written_and_printed(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    text = StringIO()
    comparison = compare_runs(*runs, out=tmp_path / "out" / "c", console=Console(file=text, width=160))
    assert json.loads((tmp_path / "out" / "c" / "comparison.json").read_text()) == comparison
    json.dumps(comparison, allow_nan=False)
    rows = [json.loads(line) for line in (tmp_path / "out" / "c" / "flips.jsonl").read_text().splitlines()]
    for kind, flips in comparison["flipped"].items():
        assert [row for row in rows if row["flip"] == kind] == [{"flip": kind, **flip} for flip in flips]
        assert f"{kind}: {len(flips)} questions" in text.getvalue() and flips
    assert "strict on groups" in text.getvalue() and "detectable" in text.getvalue()


def test_what_is_no_finished_run_is_named(tmp_path: Path, runs: tuple[Path, Path], quiet: Console) -> None:
    with pytest.raises(InputError, match=r"no finished evaluation \(results\.json is missing\)"):
        compare_runs(runs[0], tmp_path / "nowhere", console=quiet)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "results.json").write_text("{}")
    with pytest.raises(InputError, match=r"results\.json: not a results file of vtalign"):
        compare_runs(runs[0], broken, console=quiet)


def test_a_failed_video_lowers_the_score_of_its_run(
    tmp_path: Path, make_outcome: Make, runs: tuple[Path, Path], quiet: Console
) -> None:
    lost = {"reply": None, "choice": None, "correct": False, "lenient_choice": None, "lenient_correct": False}
    outcomes = answered(make_outcome, 0.65, 1)
    worse = save_run(tmp_path / "worse", [replace(o, failure="timeout", **lost) if o.family == "f0" else o for o in outcomes])
    assert compare_runs(runs[1], worse, console=quiet)["metrics"]["accuracy"]["difference"] < 0
