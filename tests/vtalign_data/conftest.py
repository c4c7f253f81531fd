"""A small corpus with the usual trouble in it, and builds of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.stage import Stage
from vtalign_data.summary import BuildSummary

BROKEN = {"a_text.mp4": "not_a_video", "b_cut.mp4": "corrupt", "c_empty.mp4": "not_a_video"}


@pytest.fixture(scope="session")
def troubled_videos(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten synthetic videos, one of them in a subfolder, a copy, three broken files, a file that is no video and a hidden one."""
    folder = tmp_path_factory.mktemp("troubled")
    good = sorted((small_corpus / "train" / "videos").glob("*.mp4"))[:10]
    for path in good[1:]:
        shutil.copy(path, folder / path.name)
    (folder / "sub").mkdir()
    shutil.copy(good[0], folder / "sub" / "deep.MP4")
    shutil.copy(good[1], folder / "zz_copy.mp4")
    (folder / "a_text.mp4").write_text("this is no video\n" * 50)
    (folder / "b_cut.mp4").write_bytes(good[1].read_bytes()[: good[1].stat().st_size // 2])
    (folder / "c_empty.mp4").write_bytes(b"")
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden.mp4").write_bytes(good[0].read_bytes())
    return folder


@pytest.fixture(scope="session")
def make_config(tiny_checkpoint: Path, troubled_videos: Path) -> Callable[..., BuildConfig]:
    """A build of a few seconds: short descriptions, small batches so that there are many commits."""

    def make(out: Path, **changes: Any) -> BuildConfig:
        settings: dict[str, Any] = {
            "videos": troubled_videos,
            "model": str(tiny_checkpoint),
            "out": out,
            "clips": {"method": "uniform"},
            "captions": {"max_new_tokens": 6},
            "perturbations": [
                {"name": "shuffle", "strength": 2},
                {"name": "reverse", "strength": 2, "frames": "reversed"},
                {"name": "drop", "strength": 16},
            ],
            # a model with random weights rambles: its answers differ wildly in length
            "filters": {"max_length_ratio": 9, "max_length_ratio_question": 9},
            "batch_size": 4,
            "workers": 1,
            **changes,
        }
        return BuildConfig.model_validate(settings)

    return make


@pytest.fixture(scope="session")
def built(make_config: Callable[..., BuildConfig], tmp_path_factory: pytest.TempPathFactory) -> BuildSummary:
    """One undisturbed build."""
    return run_build(make_config(tmp_path_factory.mktemp("built") / "run"))


@pytest.fixture(scope="session")
def stage_of(built: BuildSummary) -> Callable[[str], Stage]:
    """A stage of the undisturbed build, by its name without number."""

    def find(name: str) -> Stage:
        import pyarrow as pa

        (folder,) = (built.out / "stages").glob(f"*-{name}")
        return Stage(folder, pa.schema([]), "thing")

    return find
