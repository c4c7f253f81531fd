"""A build over real clips with every built-in perturbation, and a training step on what it made. The model's words are nonsense."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vtalign.config import validate_config
from vtalign.preference.pair import VIEW_KIND, PreferencePair
from vtalign.preference.schema import read_pairs, write_pairs
from vtalign.training.config import TrainConfig
from vtalign.training.logs import read_history
from vtalign.training.recipe import run_recipe
from vtalign.video.registry import FRAME_TRANSFORMS, PERTURBATIONS
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.stage import Stage
from vtalign_data.summary import BuildSummary

CLIPS = ("skv_bikes.mp4", "skv_carphone.mp4", "psd_counter.mp4", "askany_yoga.mp4")

SHUFFLE, DROP = {"name": "shuffle", "strength": 2}, {"name": "drop", "strength": 2}
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "reverse": [{}, {"frames": "reversed"}],
    "speed": [{}, {"direction": "slow"}],
    "compose": [{"steps": [SHUFFLE, {"name": "mask", "strength": 8}]}],
    "local_shuffle": [{}, {"units": "segments"}],
    "segment_exclude": [{}, {"start": 1.0, "stop": 2.0}],
    "insert_distractor": [{}, {"place": "after"}],
}
GRID = [{"name": name, "strength": 2, **options} for name in PERTURBATIONS for options in OPTIONS.get(name, [{}])]


@pytest.fixture(scope="module")
def videos(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    for name in CLIPS:
        shutil.copy(shared_data / "clips" / name, folder / name)
    return folder


def build(videos: Path, model: Path, out: Path, grid: list[dict[str, Any]], **settings: Any) -> BuildSummary:
    config = {
        "videos": videos,
        "model": str(model),
        "out": out,
        "clips": {"method": "uniform", "seconds": 1.0},
        "frames": {"max_pixels": 48 * 48},
        "perturbations": grid,
        "captions": {"max_new_tokens": 6},
        "filters": {"max_length_ratio": 9, "max_length_ratio_question": 9},
        "balance": {"max_accuracy": 1},
        "workers": 1,
        **settings,
    }
    return run_build(BuildConfig.model_validate(config))


@pytest.fixture(scope="module")
def built(videos: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildSummary:
    return build(videos, tiny_checkpoint, tmp_path_factory.mktemp("every") / "run", GRID)


@pytest.fixture(scope="module")
def pairs(built: BuildSummary) -> list[PreferencePair]:
    return read_pairs(built.pairs_folder)


@pytest.mark.slow
def test_every_perturbation_gives_a_pair(built: BuildSummary, pairs: list[PreferencePair]) -> None:
    by_name = Counter(pair.perturbation.name for pair in pairs if pair.perturbation)
    assert set(by_name) == set(PERTURBATIONS)
    refused = Counter(loss.reason for loss in Stage(built.out / "stages/05-perturbations", None, "view").rejected())
    # shuffle and reverse of two groups are one; so are crossed options on a clip of few segments
    assert set(refused) <= {"duplicate", "too_short"} and refused["too_short"] <= len(GRID)


@pytest.mark.slow
def test_image_space_ones_are_pairs_of_views(pairs: list[PreferencePair]) -> None:
    of_views = [pair for pair in pairs if pair.perturbation and pair.perturbation.name in FRAME_TRANSFORMS]
    assert {pair.kind for pair in of_views} == {VIEW_KIND} and len(of_views) == len(CLIPS) * len(FRAME_TRANSFORMS)
    for pair in of_views:
        assert pair.chosen == pair.rejected and pair.rejected_view == pair.perturbed_view != pair.view
        assert pair.scores is not None and pair.scores.margin == pytest.approx(0, abs=1e-4) and pair.scores.divergence is not None
        assert pair.scores.divergence > 0, "the model sees the difference"
    assert VIEW_KIND not in {pair.kind for pair in pairs if pair not in of_views}


@pytest.mark.slow
def test_pairs_with_a_distractor_name_its_path(pairs: list[PreferencePair]) -> None:
    by_id = {pair.video_id: pair.video for pair in pairs}
    for pair in pairs:
        assert pair.perturbation is not None and pair.perturbed_view is not None
        inserted = pair.perturbation.name == "insert_distractor"
        assert len(pair.perturbed_view.video_ids) == len(pair.paths) == 1 + inserted
        assert all(by_id[video_id] == video for video_id, video in pair.other_videos)


def train(pairs: Path, videos: Path, model: Path, out: Path, **stage: Any) -> dict[str, float]:
    settings = {"name": "one", "data": str(pairs), "learning_rate": 1e-3, "pairs_per_step": 4, "max_steps": 1, **stage}
    top = {"model": str(model), "output": str(out), "videos": str(videos), "device": "cpu", "threads": 1, "stages": [settings]}
    summary = run_recipe(validate_config(TrainConfig, top, "test"))
    (row, *_) = read_history(summary.history)
    return row


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dpo", "vdpo"])
def test_a_training_step_on_them(
    pairs: list[PreferencePair],
    videos: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two videos in a view, image-space views and ordinary pairs together, from the corpus and the pairs alone."""
    inserted = [pair for pair in pairs if pair.perturbation and pair.perturbation.name == "insert_distractor"][:2]
    of_views = [pair for pair in pairs if pair.kind == VIEW_KIND][:2]
    write_pairs(tmp_path / "pairs", [*inserted, *of_views])
    row = train(tmp_path / "pairs", videos, tiny_checkpoint, tmp_path / "run", kind=kind)
    assert row["rewards/margins"] == pytest.approx(0, abs=1e-3) and row[f"loss/{kind}"] == pytest.approx(0.693, abs=1e-3)
    assert ("2 pairs that differ in their views only" in capsys.readouterr().out) == (kind == "dpo")


@pytest.mark.slow
def test_shards_do_not_matter_to_distractors(videos: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    grid = [SHUFFLE, {"name": "insert_distractor", "strength": 2}]
    one = build(videos, tiny_checkpoint, tmp_path / "one", grid, batch_size=1)
    all_at_once = build(videos, tiny_checkpoint, tmp_path / "all", grid, batch_size=32, workers=2)
    found = [{pair.pair_id: pair.perturbed_view for pair in read_pairs(run.pairs_folder)} for run in (one, all_at_once)]
    assert found[0] == found[1] and found[0]


@pytest.mark.slow
def test_only_image_space_is_a_build_too(videos: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    summary = build(videos, tiny_checkpoint, tmp_path / "run", [{"name": "crop", "strength": r} for r in (16, 2)], balance={})
    assert summary.by_perturbation == {"crop-16": 4, "crop-2": 4} and summary.by_kind == {VIEW_KIND: 8}


@pytest.mark.slow
def test_a_distractor_that_cannot_be_read_costs_the_pairs_that_show_it(
    pairs: list[PreferencePair], videos: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inserted = [pair for pair in pairs if pair.perturbation and pair.perturbation.name == "insert_distractor"]
    gone = inserted[0].other_videos[0][1]
    corpus = tmp_path / "corpus"
    shutil.copytree(videos, corpus)
    (corpus / gone).unlink()
    chosen = [pair for pair in pairs if pair.video != gone]
    write_pairs(tmp_path / "pairs", chosen)
    train(tmp_path / "pairs", corpus, tiny_checkpoint, tmp_path / "run", kind="vdpo")
    lost = sum(gone in pair.paths.values() for pair in chosen)
    assert lost > 0 and f"skipped {gone} ({lost} pairs)" in capsys.readouterr().out
