"""Builds over 12 videos of four to eight real clips: every family, and by one example each the other runner and the other backend.

`python -m benchmarks.acceptance` does all families with both backends and both runners.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig

from ..chat_servers import transformers_serve
from ..joined_clips import join_many
from ..vtalign.models.family_checkpoints import BUILDERS, write_checkpoint
from .acceptance import FAMILIES, VIDEOS, acceptance_config, pairs_by_perturbation
from .run_files import files_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def joined(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joined")
    join_many(shared_data / "clips", folder, VIDEOS)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("checkpoints")

    def folder(family: str) -> Path:
        return root / family if (root / family).is_dir() else write_checkpoint(family, root / family)

    return folder


def accept(config: BuildConfig) -> None:
    """Every video is used, and every perturbation has a pair."""
    summary = run_build(config)
    kept = {stage.name: stage.kept for stage in summary.stages}
    assert kept["01-scan"] == kept["04-clips"] == VIDEOS
    by_perturbation = pairs_by_perturbation(summary)
    assert all(by_perturbation.values()), by_perturbation


def test_the_families_are_all_that_there_are() -> None:
    assert {*FAMILIES, "qwen3_vl_moe"} == set(BUILDERS)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_a_pair_of_every_perturbation(joined: Path, checkpoints, tmp_path: Path, family: str) -> None:
    accept(acceptance_config(family, joined, checkpoints(family), tmp_path / "run"))


def test_a_cluster_gives_the_same_rows(joined: Path, checkpoints, tmp_path: Path) -> None:
    for runner in ("local", "ray"):
        accept(acceptance_config("llava_onevision", joined, checkpoints("llava_onevision"), tmp_path / runner, runner=runner))
    assert files_of(tmp_path / "ray") == files_of(tmp_path / "local")


def test_a_served_family_with_both_runners(joined: Path, checkpoints, tmp_path: Path) -> None:
    checkpoint = checkpoints("qwen2_5_vl")
    with transformers_serve(checkpoint, tmp_path / "log.txt") as url:
        for runner in ("local", "ray"):
            accept(acceptance_config("qwen2_5_vl", joined, checkpoint, tmp_path / runner, server=url, runner=runner))
    assert files_of(tmp_path / "ray") == files_of(tmp_path / "local")
