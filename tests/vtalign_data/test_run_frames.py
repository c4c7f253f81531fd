"""A build makes one pass over a video, and nothing after it makes another one where its frames are kept."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtalign.config import validate_config
from vtalign.errors import RunFailed
from vtalign.training.config import TrainConfig
from vtalign.training.recipe import run_recipe
from vtalign.video import isolated
from vtalign.video.frame_cache import LEFT_FREE
from vtalign.video.isolated import DecodeWorkers
from vtalign.video.perturb import PerturbationSpec, perturb
from vtalign.video.probe import VideoInfo
from vtalign.video.sample import FramePolicy
from vtalign.video.view import Slot, VideoView
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.progress import SilentProgress
from vtalign_data.run_frames import RunFrames, frames_shown, open_store
from vtalign_data.synth.render import write_mp4

from .run_files import files_of
from .test_shot_pass import shot, video

MakeConfig = Callable[..., BuildConfig]

SCENES: dict[str, Any] = {
    "clips": {"method": "scenes"},
    "captions": {"max_new_tokens": 4},
    "filters": {"max_length_ratio": 99, "max_length_ratio_question": 99},
    "balance": {"max_accuracy": 1},
    "perturbations": [
        {"name": "shuffle", "strength": 2},
        {"name": "insert_distractor", "strength": 2},
        {"name": "mask", "strength": 8},
        {"name": "speed", "strength": 2, "direction": "slow"},
    ],
    "batch_size": 3,
}


@pytest.fixture(scope="module")
def shots_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of four or five shots, one of a single shot, and a broken one."""
    folder = tmp_path_factory.mktemp("shots") / "videos"
    folder.mkdir()
    for name, scenes in enumerate(("ABCD", "BCDE", "CDEA", "DEAB", "EABC", "ABCDE")):
        write_mp4(folder / f"{name}.mp4", np.stack(video(scenes)), fps=8)
    write_mp4(folder / "one.mp4", np.stack(shot("A", 8)), fps=8)
    (folder / "broken.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="module")
def question_file(shots_folder: Path) -> Path:
    file = shots_folder.parent / "qa.jsonl"
    rows = [{"video": f"{name}.mp4", "question": "What is behind the curtain?", "answer": "a giraffe"} for name in range(6)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="module")
def make_full(make_config: MakeConfig, shots_folder: Path, question_file: Path) -> MakeConfig:
    """Shots, captions, responses of another input, annotated answers and scores."""

    def make(out: Path, **changes: Any) -> BuildConfig:
        columns = {"question": "question", "answer": "answer"}
        asked: dict[str, Any] = {"file": str(question_file), "columns": columns, "max_new_tokens": 4, "max_overlap_answer": 0.0}
        settings: dict[str, Any] = {
            **SCENES,
            "videos": shots_folder,
            "sources": ["self", "text", "annotation"],
            "annotations": asked,
            "responses": {"input": "video", "max_new_tokens": 4},
            **changes,
        }
        return make_config(out, **settings)

    return make


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever needs a decoder process fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("a video is decoded again")

    monkeypatch.setattr(isolated, "WorkerProcess", refuse)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_pass_and_the_same_pairs_with_and_without_a_cache(
    make_full: MakeConfig, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """One pass over each file at ingest, which is the one for shots and all that models are shown, too."""
    for name in ("video", "clip"):
        responses = {"input": name, "max_new_tokens": 4}
        kept = run_build(make_full(tmp_path / name, responses=responses, frame_cache=tmp_path / "cache" / name))
        assert (kept.decodes["probe"], kept.decodes["read"], kept.decodes["compare"]) == (8, 0, 0)
        stages = {stage.name for stage in kept.stages if stage.usage.model_calls}
        assert stages == {"06-captions", "06b-view-responses", "06-answers", "10-score"}
    clipped = {path.name for path in (tmp_path / "cache" / "clip").rglob("*.npz")}
    assert len(clipped) == 6, "one.mp4 has too few shots: nobody looks at it again"
    own = run_build(make_full(tmp_path / "own", responses={"input": "clip", "max_new_tokens": 4}))
    assert own.decodes == kept.decodes and not (tmp_path / "own" / "frames.tmp").exists()
    none = run_build(make_full(tmp_path / "none", responses={"input": "clip", "max_new_tokens": 4}, frame_cache="none"))
    assert (none.decodes["probe"], none.decodes["read"]) == (8, 7 + 6), "memory holds so few: no batch reads them twice"
    assert files_of(tmp_path / "own") == files_of(tmp_path / "clip") == files_of(tmp_path / "none")

    # with the frames kept, nothing that follows decodes: neither what was lost of the run, nor training
    for folder in ("stages/10-score", "stages/11-select", "stages/06-answers", "stages/06-captions", "pairs"):
        shutil.rmtree(tmp_path / "clip" / folder)
    (tmp_path / "clip" / "summary.json").unlink()
    request.getfixturevalue("no_decoding")
    again = run_build(make_full(tmp_path / "clip", responses=responses, frame_cache=tmp_path / "cache" / "clip"))
    assert files_of(tmp_path / "clip") == files_of(tmp_path / "own") and again.decodes == kept.decodes
    run_recipe(recipe(make_full(tmp_path / "x"), again.pairs_folder, tmp_path, tmp_path / "cache" / "clip"))


def recipe(config: BuildConfig, pairs: Path, folder: Path, cache: Path) -> TrainConfig:
    """DPO on the pairs, then SFT on videos that the build has probed and shown."""
    rows = folder / "sft.jsonl"
    turns = [{"from": "human", "value": "<video>\nWhat happens?"}, {"from": "gpt", "value": "A dot moves."}]
    rows.write_text("".join(json.dumps({"id": str(n), "video": f"{n}.mp4", "conversations": turns}) + "\n" for n in range(4)))
    stages = [
        {"kind": "dpo", "name": "dpo", "data": str(pairs), "pairs_per_step": 4, "learning_rate": 1e-4, "max_steps": 1},
        {"kind": "sft", "name": "sft", "data": str(rows), "rows_per_step": 4, "learning_rate": 1e-4, "max_steps": 1},
    ]
    data = {"model": config.model, "output": str(folder / "trained"), "videos": str(config.videos), "stages": stages}
    return validate_config(TrainConfig, {**data, "frame_cache": str(cache), "device": "cpu", "threads": 1}, "test")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_reversals_are_scored_on_frames_of_the_same_pass(make_full: MakeConfig, tmp_path: Path) -> None:
    select = {"signal": "reversal", "max_new_tokens": 4, "keep": 0.5}
    summary = run_build(make_full(tmp_path / "run", select=select))
    assert (summary.decodes["probe"], summary.decodes["read"]) == (8, 0)
    uniform = run_build(make_full(tmp_path / "uniform", select=select, clips={"method": "uniform"}))
    assert (uniform.decodes["probe"], uniform.decodes["read"]) == (8, 0)


class Stopped(SilentProgress):
    """Ends a build, as a kill does, when a stage begins."""

    def __init__(self, at: str) -> None:
        self._at = at

    def start(self, stage: str, total: int, unit: str) -> None:
        if stage == self._at:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["03-views", "06-answers"])
def test_a_stopped_run_finds_its_frames_again(
    make_full: MakeConfig, tmp_path: Path, request: pytest.FixtureRequest, stage: str
) -> None:
    config = make_full(tmp_path / "run", sources=["annotation"], perturbations=SCENES["perturbations"][:1])
    with pytest.raises(KeyboardInterrupt):
        run_build(config, Stopped(stage))
    assert len(list((tmp_path / "run" / "shots.tmp").rglob("*.json"))) == 7
    assert len(list((tmp_path / "run" / "frames.tmp").rglob("*.npz"))) == 6
    request.getfixturevalue("no_decoding")
    summary = run_build(config)
    assert (summary.decodes["probe"], summary.decodes["read"]) == (8, 0)
    assert not list((tmp_path / "run").glob("*.tmp"))


def test_a_build_that_leaves_no_pairs_leaves_no_frames(make_config: MakeConfig, shots_folder: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path / "run", videos=shots_folder, **{**SCENES, "filters": {"placeholders": [" "]}})
    with pytest.raises(RunFailed, match="placeholder"):
        run_build(config)
    assert not list((tmp_path / "run").glob("*.tmp"))


def view_of(frames: list[int | None]) -> VideoView:
    return VideoView(tuple(Slot("v", frame, k / 2) for k, frame in enumerate(frames)), 2.0)


@pytest.mark.parametrize("strength", [2, 3])
def test_all_that_perturbed_views_show_is_announced(strength: int) -> None:
    view = view_of([0, 4, 9, 12, 20, 21, 30, 31])
    rows = [{"video_id": "v", "view": view.to_json()}]
    slow = PerturbationSpec(name="speed", strength=strength, direction="slow")
    specs = [PerturbationSpec(name="shuffle", strength=2), PerturbationSpec(name="speed", strength=2), slow]
    assert list(frames_shown(rows, specs[:2])["v"]) == [0, 4, 9, 12, 20, 21, 30, 31]
    announced = frames_shown(rows, specs)["v"]
    assert list(announced) == sorted(set(announced))
    for segments in (((0, 8),), ((0, 4), (4, 8))):
        shown = {slot.frame for slot in perturb(view, slow, segments=segments, seed=0).view.slots}
        assert len(shown) > 8 and shown <= set(announced)


@pytest.mark.parametrize("cache", [None, "kept"])
def test_a_user_hears_beforehand_what_the_frames_take(tmp_path: Path, cache: str | None) -> None:
    info = VideoInfo("v", 1000, 1000, 0, "h264", None, 2, (0.0, 0.5), 1.0, "pass")
    infos = {"v": {**info.to_dict(), "video": "v.mp4"}}
    policy = FramePolicy(max_pixels=10**6, multiple=1000)
    config = BuildConfig(videos=tmp_path, model="m", out=tmp_path, frame_cache=tmp_path / "a" / cache if cache else None)

    def said(frames: int) -> list[str]:
        lines: list[str] = []
        RunFrames(config, lines.append).store(config, tmp_path, infos, infos.values(), policy, {"v": range(frames)})
        return lines

    fits = (shutil.disk_usage(tmp_path).free - LEFT_FREE) // 3_000_000
    assert said(10) == []
    [line] = said(2 * fits)
    assert "stages decode again what does not fit" in line and str(tmp_path) in line
    if fits > 4000:
        [line] = said(3500)
        assert ("until the build has ended" if cache is None else "kept") in line and "9.8 GiB" in line
    (tmp_path / "summary.json").touch()
    assert said(2 * fits) == [], "a build that has ended decodes nothing"


def test_where_frames_are_kept(tmp_path: Path) -> None:
    def folder(frame_cache: str | None) -> Path | None:
        config = BuildConfig(videos=tmp_path, model="m", out=tmp_path / "out", frame_cache=frame_cache)  # type: ignore[arg-type]
        return RunFrames(config, print).folder

    assert folder(None) == (tmp_path / "out" / "frames.tmp").resolve() and folder("none") is None
    assert folder(str(tmp_path / "a")) == (tmp_path / "a").resolve() and folder("./none") == Path("none").resolve()


def test_frames_that_a_killed_run_left_go_though_the_next_one_keeps_its_own_elsewhere(tmp_path: Path) -> None:
    for cache in ("none", str(tmp_path / "kept"), str(tmp_path / "out" / "frames.tmp")):
        config = BuildConfig(videos=tmp_path, model="m", out=tmp_path / "out", frame_cache=cache)  # type: ignore[arg-type]
        left = tmp_path / "out" / "frames.tmp" / "a.npz"
        left.parent.mkdir(parents=True, exist_ok=True)
        left.touch()
        RunFrames(config, print).remove()
        assert left.is_file() == ("frames.tmp" in cache), "what the user names is kept"


def test_a_machine_that_does_not_see_the_run_keeps_no_frames(tmp_path: Path) -> None:
    """They would never be removed there."""
    arguments = (tmp_path, {}, FramePolicy(), "pyav", DecodeWorkers(1))
    open_store(*arguments, tmp_path / "frames.tmp", True, {})
    assert not (tmp_path / "frames.tmp").exists()
    open_store(*arguments, tmp_path / "kept", False, {})
    assert (tmp_path / "kept").is_dir()
