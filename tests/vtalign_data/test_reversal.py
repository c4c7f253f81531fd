import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtalign.models.load import load_video_lm
from vtalign.models.requests import Request, Row
from vtalign.preference.pair import video_prompt
from vtalign.preference.schema import read_pairs
from vtalign.video.frames import FrameStore
from vtalign.video.isolated import DecodeLimits, DecodeWorkers
from vtalign.video.sample import sample
from vtalign.video.view import VideoView
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.reversal import SCHEMA, distribution, score_reversals, select_videos
from vtalign_data.stage import Stage
from vtalign_data.synth.render import write_mp4
from vtalign_data.video_selection_config import SelectConfig


def moving(frames: int, step: int = 3) -> np.ndarray:
    """A square that crosses the picture, uint8 (frames, 48, 48, 3)."""
    found = np.full((frames, 48, 48, 3), 40, np.uint8)
    for k, frame in enumerate(found):
        frame[18:30, (step * k) % 36 : (step * k) % 36 + 10] = (240, 60, 60)
    return found


def scored(name: str, value: float, same: bool = False) -> dict[str, Any]:
    known = {"view_id": f"view-{name}", "video_id": name, "video": f"{name}.mp4", "answer": None if same else "it moves"}
    return {**known, "first_token_kl": value, "divergence": value / 2, "same_backwards": same}


ROWS = [scored("a", 0.5), scored("b", 0.0, same=True), scored("c", 0.1), scored("d", 0.9), scored("e", 0.3)]


@pytest.mark.parametrize(
    ("settings", "kept", "lost"),
    [
        ({}, "acde", {"b": "same_backwards"}),
        ({"min": 0.1}, "ade", {"b": "same_backwards", "c": "below_min"}),
        ({"keep": 0.5}, "ad", {"b": "same_backwards", "c": "beyond_keep", "e": "beyond_keep"}),
        ({"min": 0.1, "keep": 0.3}, "d", {"b": "same_backwards", "c": "below_min", "a": "beyond_keep", "e": "beyond_keep"}),
        ({"by": "divergence", "min": 0.2}, "ad", {"b": "same_backwards", "c": "below_min", "e": "below_min"}),
    ],
)
def test_what_is_kept(settings: dict[str, Any], kept: str, lost: dict[str, str]) -> None:
    result = select_videos(ROWS, SelectConfig(signal="reversal", **settings))
    assert "".join(row["video_id"] for row in result.rows) == kept
    assert {loss.id.removesuffix(".mp4"): loss.reason for loss in result.rejected} == lost
    backwards = select_videos(ROWS[::-1], SelectConfig(signal="reversal", **settings))
    assert sorted(row["video_id"] for row in backwards.rows) == list(kept)


def test_the_distribution_is_told() -> None:
    found = distribution(ROWS, "first_token_kl")
    assert found["videos"] == 5 and found["same_backwards"] == 1
    assert found["quantiles"] == {"least": 0.0, "10 %": 0.04, "25 %": 0.1, "median": 0.3, "75 %": 0.5, "90 %": 0.74, "most": 0.9}
    assert distribution([], "divergence")["quantiles"] == {}


def test_scores_are_the_librarys_and_stills_are_not_asked(tmp_path: Path, tiny_checkpoint: Path) -> None:
    model = load_video_lm(tiny_checkpoint, device="cpu")
    there = moving(12)
    write_mp4(tmp_path / "moves.mp4", there, fps=4)
    noise = np.random.default_rng(0).integers(0, 255, (1, 96, 96, 3)).astype(np.uint8)  # what encoders leave most errors in
    write_mp4(tmp_path / "still.mp4", np.repeat(noise, 40, axis=0), fps=4)
    write_mp4(tmp_path / "there_and_back.mp4", np.concatenate([there[:5], there[3::-1]]), fps=2)
    write_mp4(tmp_path / "gone.mp4", moving(12, step=2), fps=4)
    rows = []
    with DecodeWorkers(1, DecodeLimits(timeout_s=30)) as workers:
        for name in ("gone.mp4", "moves.mp4", "still.mp4", "there_and_back.mp4"):
            info = workers.probe(tmp_path / name)
            view = sample(info, model.policy)
            rows.append({"view_id": view.view_id, "video_id": info.video_id, "video": name, "view": view.to_json()})
        (tmp_path / "gone.mp4").unlink()
        store = FrameStore(tmp_path, {row["video_id"]: row["video"] for row in rows}, model.policy, workers=workers)
        config = SelectConfig(signal="reversal", max_new_tokens=6)
        result = score_reversals(rows, config, model, store, 8)
        view = VideoView.from_json(rows[1]["view"])
        backwards = view.with_contents(list(reversed(range(len(view)))))
        prompts = [video_prompt(shown, config.prompt) for shown in (view, backwards)]
        [answer] = model.generate([Request(prompts[0], 6)], store)
        _, [expected] = model.score([Row(prompt, (answer,)) for prompt in prompts], store, against={1: 0})
    assert [(loss.id, loss.outcome) for loss in result.rejected] == [("gone.mp4", "failed")]
    moves, *same = result.rows
    assert set(moves) == set(SCHEMA.names)
    assert moves["answer"] == answer and moves["first_token_kl"] == pytest.approx(expected.first_token_kl, rel=1e-3)
    assert moves["divergence"] == pytest.approx(expected.divergence, rel=1e-3) and moves["divergence"] > 0
    assert [row["video"] for row in same] == ["still.mp4", "there_and_back.mp4"]
    for row in same:
        assert (row["first_token_kl"], row["divergence"], row["same_backwards"]) == (0.0, 0.0, True)


@pytest.mark.slow
@pytest.mark.parametrize("shots", [{}, {"min_grey_range": 255}], ids=["one shot", "no shot"])
def test_single_shot_videos_are_usable(make_config: Callable[..., BuildConfig], tmp_path: Path, shots: dict[str, int]) -> None:
    """One shot each, and where it is too flat none, so no video keeps TEMPLE's rules; by reversal the moving ones get clips by the
    clock and pairs."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(3):
        write_mp4(videos / f"moves{number}.mp4", moving(32, step=number + 1), fps=4)
    write_mp4(videos / "still.mp4", np.repeat(moving(1), 32, axis=0), fps=4)
    settings = {"clips": {"method": "scenes", "shots": shots}, "captions": {"max_new_tokens": 16, "temperature": 1.0}}
    config = make_config(tmp_path / "run", videos=videos, select={"signal": "reversal", "max_new_tokens": 6}, **settings)
    summary = run_build(config)
    assert {pair.video for pair in read_pairs(summary.pairs_folder)} <= {f"moves{number}.mp4" for number in range(3)}
    assert summary.pairs > 0
    [loss] = Stage(tmp_path / "run/stages/03b-selection", SCHEMA, "video").rejected()
    assert (loss.id, loss.reason) == ("still.mp4", "same_backwards")
    told = json.loads((tmp_path / "run/summary.json").read_text())["selection"]
    assert told["reversal"]["videos"] == 4 and told["reversal"]["same_backwards"] == 1
    rules = ["shot_too_short", "low_contrast", "same_backwards", "below_min", "beyond_keep"]
    assert [rule["rule"] for rule in told["rules"]][:5] == rules, "shots are found first: one pass serves both"
    again = run_build(config)
    assert again.selection == summary.selection
