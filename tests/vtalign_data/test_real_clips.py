"""Real videos in many codecs and containers, singly and joined, a broken one among them. The model's words are nonsense here."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vtalign.preference.schema import read_pairs
from vtalign.video.isolated import DecodeLimits, DecodeWorkers
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.stage import Stage
from vtalign_data.synth.render import write_mp4

JOINED = ("skv_bikes.mp4", "skv_carphone.mp4", "intel_asl_eat.mkv", "wpt_vp9.webm", "lf_4.mp4")
CLIPS = (*JOINED, "decord_corrupted.mp4", "decord_unordered.mov", "decord_rot90.mov", "psd_counter.mp4", "tempcompass_fwd.gif")


def join(clips: list[Path], out: Path, seconds: float = 3.0) -> None:
    """The first `seconds` of each clip at 8 fps, one after the other, in one file."""
    frames = []
    with DecodeWorkers(1, DecodeLimits()) as workers:
        for clip in clips:
            info = workers.probe(clip)
            wanted = sorted({int(np.searchsorted(info.times, k / 8)) for k in range(int(min(seconds, info.duration) * 8))})
            wanted = [index for index in wanted if index < info.frames]
            frames += [cv2.resize(frame, (160, 120)) for frame in workers.read(clip, wanted)]
    write_mp4(out, np.stack(frames), fps=8)


@pytest.mark.slow
def test_real_clips_singly_and_joined(shared_data: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in CLIPS:
        shutil.copy(shared_data / "clips" / name, videos / name)
    join([videos / name for name in JOINED], videos / "joined.mp4")
    settings = {"captions": {"max_new_tokens": 6}, "filters": {"max_length_ratio": 9, "max_length_ratio_question": 9}}
    config = BuildConfig(videos=videos, model=str(tiny_checkpoint), out=tmp_path / "run", **settings)
    summary = run_build(config)
    losses = {loss.id: loss.outcome for loss in Stage(tmp_path / "run/stages/02-ingest", None, "video").rejected()}
    assert losses == {"decord_corrupted.mp4": "failed"}
    assert len(read_pairs(summary.pairs_folder)) == summary.pairs > 0
    assert "joined.mp4" in {row["video"] for row in Stage(tmp_path / "run/stages/07-responses", None, "pair").rows()}
    clips = {row["video"]: row["segments"] for row in Stage(tmp_path / "run/stages/04-clips", None, "video").rows()}
    # two slots a second, the first clips are three seconds long: the joints are among the cuts
    assert {0, 6, 12} <= {clip["start"] for clip in clips["joined.mp4"]}
