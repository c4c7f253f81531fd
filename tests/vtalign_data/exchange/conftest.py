"""Pairs over three real files, to be exported and read again."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vtalign.config import load_config
from vtalign.ids import stable_id
from vtalign.preference.pair import PreferencePair, group_id_of
from vtalign.preference.schema import write_pairs
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.perturb import perturb
from vtalign.video.perturbation_spec import PerturbationSpec
from vtalign.video.probe import VideoInfo
from vtalign.video.sample import FramePolicy, sample
from vtalign_data.exchange.export_pairs import ExportConfig, run_export

REVERSED = PerturbationSpec(name="reverse", strength=1, frames="reversed")
POLICY = FramePolicy(fps=2.0)


@pytest.fixture(scope="module")
def videos(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "my videos"
    folder.mkdir()
    for number, path in enumerate(sorted((small_corpus / "train" / "videos").glob("*.mp4"))[:3]):
        shutil.copy(path, folder / f"{number}.mp4")
    return folder


@pytest.fixture(scope="module")
def infos(videos: Path) -> dict[str, VideoInfo]:
    with DecodeWorkers(1) as workers:
        return {path.name: workers.probe(path) for path in sorted(videos.iterdir())}


MakePair = Callable[..., PreferencePair]


@pytest.fixture
def make_pair(infos: dict[str, VideoInfo]) -> MakePair:
    def make(video: str = "0.mp4", **changes: Any) -> PreferencePair:
        view = sample(infos[video], POLICY)
        fields: dict[str, Any] = {
            "video_id": infos[video].video_id,
            "video": video,
            "view_id": view.view_id,
            "view": view,
            "prompt": "What happens?\nTell all of it. ü🎬",
            "chosen": "A circle grows, then it moves.",
            "rejected": "A circle moves, then it grows.",
            "source": "self",
            "perturbed_view": perturb(view, REVERSED, seed=0).view,
            **changes,
        }
        group_id = group_id_of(fields["view_id"], fields["prompt"], fields["chosen"])
        return PreferencePair(pair_id=stable_id("pair", group_id, video, fields["rejected"]), group_id=group_id, **fields)

    return make


@pytest.fixture
def export(videos: Path, tmp_path: Path) -> Callable[..., Any]:
    """Export pairs into tmp_path/out; returns the summary."""

    def run(pairs: list[PreferencePair], to: str, **settings: Any) -> Any:
        write_pairs(tmp_path / "pairs", pairs)
        given = {"pairs": tmp_path / "pairs", "to": to, "videos": videos, "out": tmp_path / "out", "workers": 1, **settings}
        return run_export(load_config(ExportConfig, None, [], **given))

    return run
