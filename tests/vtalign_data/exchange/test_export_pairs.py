"""Exports as another trainer would open them, over real files."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from vtalign.errors import InputError, RunFailed
from vtalign.preference.pair import PreferencePair
from vtalign.video.frames import FrameStore
from vtalign.video.limits import DecodeLimits
from vtalign.video.probe import VideoInfo
from vtalign.video.readers import read_frames
from vtalign.video.sample import FramePolicy
from vtalign.video.view import VideoView

MakePair = Callable[..., PreferencePair]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def shown(view: VideoView, videos: Path, infos: dict[str, VideoInfo]) -> np.ndarray:
    """The frames of a view at the videos' own size."""
    paths = {info.video_id: name for name, info in infos.items()}
    with FrameStore(videos, paths, FramePolicy(max_pixels=1920 * 1080, multiple=2)) as store:
        return store.frames(view)


def test_each_rejected_response_is_a_row_about_the_video_itself(
    make_pair: MakePair, export, videos: Path, tmp_path: Path
) -> None:
    pairs = [make_pair(), make_pair(rejected="Nothing."), make_pair("1.mp4")]
    summary = export(pairs, "ms-swift")
    rows, index = lines(summary.file), lines(tmp_path / "out/index.jsonl")
    assert (summary.rows, summary.rendered, summary.lost) == (3, 0, {})
    by_id = {entry["pair_id"]: rows[entry["row"]] for entry in index}
    assert by_id[pairs[1].pair_id] == {
        "messages": [
            {"role": "user", "content": "<video>What happens?\nTell all of it. ü🎬"},
            {"role": "assistant", "content": "A circle grows, then it moves."},
        ],
        "rejected_response": "Nothing.",
        "videos": [str(videos.resolve() / "0.mp4")],
    }
    assert not (tmp_path / "out/videos").exists() or not list((tmp_path / "out/videos").iterdir())


def test_views_are_rendered_as_they_are_shown(make_pair: MakePair, export, videos: Path, infos, tmp_path: Path) -> None:
    pair = make_pair()
    summary = export([pair, make_pair(rejected="Nothing.")], "ms-swift", vdpo=True, render_clean=True)
    (row,) = lines(summary.file)
    assert summary.rendered == 2 and summary.lost == {"same_views": 1}
    assert "rejected_response" not in row
    for file, view in ((row["videos"][0], pair.view), (row["rejected_videos"][0], pair.perturbed_view)):
        assert Path(file) == (tmp_path / "out/videos" / f"{view.view_id}.mp4").resolve()
        read = read_frames(Path(file), range(len(view)), None, DecodeLimits())
        assert np.abs(read.astype(int) - shown(view, videos, infos)).mean() < 4


def test_a_pair_of_two_views_is_a_row_of_two_videos(make_pair: MakePair, export) -> None:
    pair = make_pair(rejected="A circle grows, then it moves.")
    pair = replace(pair, rejected_view=pair.perturbed_view, perturbed_view=None)
    (row,) = lines(export([pair], "ms-swift").file)
    # both rendered: neither side is told by its encoding, length or rate
    assert [Path(file).stem for file in (*row["videos"], *row["rejected_videos"])] == [
        pair.view.view_id,
        pair.rejected_view.view_id,
    ]
    assert set(row) == {"messages", "videos", "rejected_videos"}


@pytest.mark.parametrize("to", ["trl", "llamafactory", "rrpo"])
def test_formats_of_one_video_refuse_such_pairs_or_leave_them_out(make_pair: MakePair, export, tmp_path: Path, to: str) -> None:
    second = replace(make_pair("1.mp4"), rejected_view=make_pair("1.mp4").perturbed_view)
    with pytest.raises(InputError, match=r"1 of 2 pairs have a rejected_view.*--skip-vdpo"):
        export([make_pair(), second], to)
    assert not (tmp_path / "out").exists()
    summary = export([make_pair(), second], to, skip_vdpo=True)
    assert (summary.rows, summary.lost) == (1, {"second_video": 1})
    assert lines(tmp_path / "out/rejected.jsonl")[0]["id"] == second.pair_id
    with pytest.raises(InputError, match="formats that have one: ms-swift"):
        export([make_pair()], to, vdpo=True)


def test_llamafactory_with_paths_from_its_media_folder(make_pair: MakePair, export, videos: Path, tmp_path: Path) -> None:
    out = videos.parent / "lf"
    summary = export([make_pair()], "llamafactory", media_root=videos.parent, out=out)
    (row,) = json.loads(summary.file.read_text(encoding="utf-8"))
    assert row["videos"] == ["my videos/0.mp4"]
    info = json.loads((out / "dataset_info.json").read_text(encoding="utf-8"))
    assert info["vtalign_dpo"]["file_name"] == summary.file.name
    with pytest.raises(InputError, match="does not lie in it"):
        export([make_pair()], "llamafactory", media_root=videos, out=tmp_path / "other")


def test_trl_opens_images_in_the_order_of_the_slots(make_pair: MakePair, export, videos: Path, infos, tmp_path: Path) -> None:
    pair = make_pair()
    summary = export([pair, make_pair(rejected="Nothing.")], "trl")
    loaded = datasets.load_dataset("parquet", data_files=str(summary.file), split="train", cache_dir=str(tmp_path / "cache"))
    assert summary.rendered == 1 and loaded.column_names == ["prompt", "chosen", "rejected", "images", "video"]
    images = [np.asarray(image.convert("RGB")).astype(int) for image in loaded[0]["images"]]
    wanted = shown(pair.view, videos, infos)
    assert len(images) == len(pair.view)
    for slot, image in enumerate(images):
        assert np.abs(image - wanted[slot]).mean() < 3
    assert loaded[0]["prompt"] == [{"role": "user", "content": pair.prompt}]


def test_what_cannot_be_written_is_listed_and_the_rest_is_written(make_pair: MakePair, export, tmp_path: Path) -> None:
    pairs = [
        make_pair(),
        make_pair("1.mp4", prompt="What does <video> mean?"),
        replace(make_pair("2.mp4"), video="gone.mp4"),
        replace(make_pair("2.mp4", rejected="no"), video="../../etc/passwd"),
    ]
    summary = export(pairs, "ms-swift")
    assert summary.rows == 1
    reasons = {loss["id"]: loss["reason"] for loss in lines(tmp_path / "out/rejected.jsonl")}
    assert [reasons[pair.pair_id] for pair in pairs[1:3]] == ["tag_in_text", "missing"]
    assert reasons[pairs[3].pair_id] in ("missing", "outside_root")
    with pytest.raises(RunFailed, match="no rows left of 1 pairs"):
        export([pairs[1]], "ms-swift", out=tmp_path / "none")


def test_a_video_that_cannot_be_decoded_costs_its_pairs(make_pair: MakePair, export, videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    shutil.copytree(videos, folder)
    broken = (folder / "1.mp4").read_bytes()
    (folder / "1.mp4").write_bytes(broken[: len(broken) // 3])
    pairs = [make_pair(), make_pair("1.mp4"), make_pair("1.mp4", prompt="Why?")]
    summary = export(pairs, "ms-swift", videos=folder, vdpo=True)
    assert summary.rows == 1 and sum(summary.lost.values()) == 2
    assert {loss["id"] for loss in lines(tmp_path / "out/rejected.jsonl")} == {pair.pair_id for pair in pairs[1:]}


def test_a_view_of_an_unknown_video_costs_its_pair(make_pair: MakePair, export, tmp_path: Path) -> None:
    foreign = replace(make_pair(), rejected_view=make_pair("1.mp4").view)
    summary = export([foreign, make_pair("2.mp4")], "ms-swift")
    assert summary.lost == {"unknown_video": 1}
    known = replace(foreign, other_videos=((make_pair("1.mp4").video_id, "1.mp4"),))
    assert export([known], "ms-swift", out=tmp_path / "known").lost == {}


def test_a_second_run_renders_nothing_again_and_writes_the_same(make_pair: MakePair, export, tmp_path: Path) -> None:
    pairs = [make_pair(), make_pair("1.mp4")]
    first = export(pairs, "ms-swift", vdpo=True)
    files = sorted((tmp_path / "out/videos").iterdir())
    before = {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in files}
    written = first.file.read_bytes()
    files[0].unlink()  # as if a kill had come before it
    (tmp_path / "out/videos/.view-x.mp4.0123.partial").write_bytes(b"torn")
    (tmp_path / "out/.index.jsonl.4567.partial").write_bytes(b"torn")
    assert export(pairs, "ms-swift", vdpo=True) == first
    assert first.file.read_bytes() == written
    assert sorted((tmp_path / "out/videos").iterdir()) == files and not list((tmp_path / "out").glob(".*.partial"))
    assert (files[1].stat().st_mtime_ns, files[1].stat().st_ino) == before[files[1]]
    with pytest.raises(InputError, match="holds another run"):
        export([make_pair("2.mp4")], "ms-swift", vdpo=True)


def test_a_clean_view_that_is_not_the_file_is_rendered(make_pair: MakePair, export) -> None:
    pair = make_pair()
    blanked = replace(pair.view, slots=(replace(pair.view.slots[0], frame=None), *pair.view.slots[1:]))
    (row,) = lines(export([replace(pair, view=blanked, view_id=blanked.view_id)], "ms-swift").file)
    assert row["videos"][0].endswith(f"{blanked.view_id}.mp4")


@pytest.mark.slow
def test_a_killed_export_goes_on_to_the_same_rows_and_frames(make_pair: MakePair, export, videos: Path, tmp_path: Path) -> None:
    pairs = []
    for number in range(3):
        view = make_pair(f"{number}.mp4").view
        order = list(range(len(view)))
        for turn in range(1, 5):
            turned = view.with_contents(order[turn:] + order[:turn])
            pairs.append(make_pair(f"{number}.mp4", rejected=f"No {turn}.", perturbed_view=None, rejected_view=turned))
    whole = export(pairs, "ms-swift", render_clean=True, out=tmp_path / "whole")
    out = tmp_path / "killed"
    settings = ["--to", "ms-swift", "--videos", str(videos), "--out", str(out), "--render-clean", "workers=1"]
    command = [sys.executable, "-m", "vtalign", "data", "export", str(tmp_path / "pairs"), *settings]
    kills = 0
    for enough in (1, 4, 9):  # files that are there when the run is killed
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None and len(list((out / "videos").glob("[!.]*.mp4"))) < enough:
            time.sleep(0.002)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    subprocess.run(command, check=True, capture_output=True)
    assert kills >= 2
    assert (out / "ms_swift.jsonl").read_text() == whole.file.read_text().replace(str(whole.out.resolve()), str(out.resolve()))
    files = sorted((out / "videos").iterdir())
    assert [file.name for file in files] == sorted(file.name for file in (whole.out / "videos").iterdir())
    assert all(file.read_bytes() == (whole.out / "videos" / file.name).read_bytes() for file in files)
