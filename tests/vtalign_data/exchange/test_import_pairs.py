"""What is exported is imported as the same pair; what others wrote becomes pairs that training takes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vtalign.artifacts import hold_run_folder
from vtalign.config import load_config
from vtalign.errors import InputError, RunFailed
from vtalign.models.video_lm import POLICY_FILE
from vtalign.preference.exports.formats import FORMATS
from vtalign.preference.exports.row import PreferenceRow
from vtalign.preference.pair import PreferencePair
from vtalign.preference.schema import read_pairs
from vtalign.preference.spans import differing_spans
from vtalign.video.sample import FramePolicy
from vtalign_data.exchange.import_config import ImportConfig
from vtalign_data.exchange.import_pairs import ImportSummary, run_import

MakePair = Callable[..., PreferencePair]


@pytest.fixture
def imported(videos: Path, tmp_path: Path) -> Callable[..., ImportSummary]:
    """Import a file, or rows written to one, into tmp_path/in."""

    def run(rows: Path | list[Any], form: str, **settings: Any) -> ImportSummary:
        file = rows if isinstance(rows, Path) else tmp_path / "rows.jsonl"
        if not isinstance(rows, Path):
            file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
        given = {"file": file, "format": form, "videos": videos, "out": tmp_path / "in", "workers": 1, **settings}
        return run_import(load_config(ImportConfig, None, [], **given))

    return run


def row(video: str = "0.mp4", **changes: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": "<video>What happens?"}, {"role": "assistant", "content": "yes"}]
    return {"messages": turns, "rejected_response": "no", "videos": [video], **changes}


def test_one_run_at_a_time_in_a_folder(make_pair: MakePair, export, imported, tmp_path: Path) -> None:
    file = export([make_pair()], "trl").file
    summary = imported(file, "trl")
    with hold_run_folder(tmp_path / "out"), pytest.raises(InputError, match="another process works in this folder"):
        export([make_pair()], "trl")
    with hold_run_folder(summary.out), pytest.raises(InputError, match="another process works in this folder"):
        imported(file, "trl")
    assert imported(file, "trl") == summary


@pytest.mark.parametrize("to", ["trl", "ms-swift", "llamafactory", "rrpo"])
def test_an_export_is_imported_as_the_same_pairs(make_pair: MakePair, export, imported, to: str) -> None:
    spans = {"chosen_spans": ((2, 8), (9, 14)), "rejected_spans": ((2, 8),)}
    pairs = [make_pair(**spans), make_pair(rejected="Nothing."), make_pair("1.mp4")]
    summary = imported(export(pairs, to).file, to)
    assert (summary.pairs, summary.videos, summary.lost, summary.notes) == (3, 2, {}, {})

    def said(pair: PreferencePair) -> tuple[Any, ...]:
        return pair.prompt, pair.chosen, pair.rejected, pair.video, pair.video_id, pair.view, pair.group_id

    read = read_pairs(summary.out / "pairs")
    assert sorted(map(said, read), key=str) == sorted(map(said, pairs), key=str)
    if to == "rrpo":
        by_text = {(pair.video, pair.rejected): (pair.chosen_spans, pair.rejected_spans) for pair in read}
        assert by_text["0.mp4", pairs[0].rejected] == (spans["chosen_spans"], spans["rejected_spans"])
        assert by_text["0.mp4", "Nothing."] == differing_spans(pairs[1].chosen, "Nothing.")
    assert all(pair.scores is None and pair.fingerprint is None for pair in read)


def test_the_rejected_video_of_an_export_is_a_second_video(make_pair: MakePair, export, imported, videos: Path) -> None:
    pair = make_pair()
    out = videos / "rendered"
    try:
        exported = export([pair], "ms-swift", vdpo=True, out=out)
        summary = imported(exported.file, "ms-swift")
    finally:
        shutil.rmtree(out, ignore_errors=True)
    (read,) = read_pairs(summary.out / "pairs")
    assert read.rejected_view is not None and pair.perturbed_view is not None and pair.view is not None
    assert (read.prompt, read.chosen, read.rejected) == (pair.prompt, pair.chosen, pair.chosen)
    assert read.video == f"rendered/videos/{pair.view.view_id}.mp4"
    (second,) = {slot.video_id for slot in read.rejected_view.slots}
    assert read.other_videos == ((second, f"rendered/videos/{pair.perturbed_view.view_id}.mp4"),)
    # at the policy that it was sampled with, every rendered frame is a slot again
    assert [slot.frame for slot in read.rejected_view.slots] == list(range(len(pair.perturbed_view)))


def test_what_cannot_be_used_costs_its_line(imported, videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    shutil.copytree(videos, folder)
    whole = (folder / "1.mp4").read_bytes()
    (folder / "1.mp4").write_bytes(whole[: len(whole) // 3])
    (folder / "copy.mp4").write_bytes((folder / "0.mp4").read_bytes())
    (tmp_path / "outside.mp4").write_bytes(whole)
    (folder / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    rows = [
        row(),
        row("1.mp4"),
        row("gone.mp4"),
        row("../outside.mp4"),
        row(str(tmp_path / "outside.mp4")),
        row("link.mp4"),
        "{not json\n",
        [1, 2],
        row(rejected_response="yes"),
        row(),
        row(rejected_response=None, rejected_videos=["copy.mp4"]),
        row(videos=[], messages=[{"role": "user", "content": "<video>Why?"}, {"role": "assistant", "content": "yes"}]),
        row(str(folder.resolve() / "2.mp4")),
    ]
    summary = imported(rows, "ms-swift", videos=folder)
    assert summary.pairs == 2
    lost = [json.loads(line) for line in (summary.out / "rejected.jsonl").read_text().splitlines()]
    reasons = {loss["id"]: loss["reason"] for loss in lost}
    assert reasons.pop("rows.jsonl:2") in ("corrupt", "truncated", "not_a_video")
    assert reasons == {
        "rows.jsonl:3": "missing",
        "rows.jsonl:4": "outside_root",
        "rows.jsonl:5": "outside_root",
        "rows.jsonl:6": "outside_root",
        "rows.jsonl:7": "not_json",
        "rows.jsonl:8": "not_an_object",
        "rows.jsonl:9": "equal_sides",
        "rows.jsonl:10": "duplicate",
        "rows.jsonl:11": "equal_sides",
        "rows.jsonl:12": "video_tags",
    }
    assert {pair.video for pair in read_pairs(summary.out / "pairs")} == {"0.mp4", "2.mp4"}


@pytest.mark.parametrize("form", ["trl", "ms-swift", "llamafactory"])
def test_rows_of_text_alone_are_pairs_that_show_nothing(imported, form: str, tmp_path: Path) -> None:
    item = FORMATS[form].write(PreferenceRow("Which came first?", "The cat.", "The dog."))
    (tmp_path / "rows.jsonl").write_text(json.dumps(item) + "\n")
    summary = imported(tmp_path / "rows.jsonl", form)
    (pair,) = read_pairs(summary.out / "pairs")
    assert (pair.view, pair.source, pair.prompt, pair.chosen, pair.rejected) == (
        None, "text", "Which came first?", "The cat.", "The dog."
    )  # fmt: skip
    assert summary.notes == {"text_only": 1} and summary.videos == 0


def test_strict_names_the_first_bad_line(imported, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rows\.jsonl:2: equal_sides"):
        imported([row(), row(rejected_response="yes")], "ms-swift", strict=True)
    assert not (tmp_path / "in").exists()


def test_nothing_left_says_why(imported) -> None:
    with pytest.raises(RunFailed, match=r"no pairs left of 2 rows \(1 equal_sides, 1 missing\)"):
        imported([row("gone.mp4"), row(rejected_response="yes")], "ms-swift")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.json", "{", "not valid JSON"),
        ("rows.json", "{}", "expected a list of rows"),
        ("rows.parquet", "PAR1", "not a readable Parquet file"),
        ("rows.csv", "a,b", "read from .jsonl, .json or .parquet"),
    ],
)
def test_files_that_cannot_be_read(imported, tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        imported(tmp_path / name, "rrpo")


def test_the_frame_policy_is_the_models_or_as_asked(imported, tiny_checkpoint: Path, tmp_path: Path) -> None:
    own = FramePolicy(**json.loads((tiny_checkpoint / POLICY_FILE).read_text()))
    imported([row()], "ms-swift", model=str(tiny_checkpoint))
    (pair,) = read_pairs(tmp_path / "in/pairs")
    assert pair.sampling == {"policy": own.model_dump(mode="json"), "reader": "pyav"}
    imported([row()], "ms-swift", frames={"count": 3}, out=tmp_path / "three")
    assert len(read_pairs(tmp_path / "three/pairs")[0].view) == 3


def test_an_import_goes_on_where_it_was_killed(imported, tmp_path: Path) -> None:
    rows = [row(f"{number}.mp4") for number in range(3)]
    first = imported(rows, "ms-swift", batch_size=1)
    whole = (tmp_path / "in/pairs/part-00000.parquet").read_bytes()
    parts = sorted((tmp_path / "in/stages/01-videos").glob("part-*.parquet"))
    kept = parts[0].stat().st_mtime_ns
    shutil.rmtree(tmp_path / "in/pairs")
    parts[1].unlink()
    (tmp_path / "in/stages/01-videos/complete.json").unlink()
    for number in range(3):
        (parts[0].parent / f"part-0000{number}.rejected.jsonl").touch()
    torn = tmp_path / "in" / ".index.jsonl.4567.partial"
    torn.touch()
    assert imported(rows, "ms-swift", batch_size=1) == first
    assert (tmp_path / "in/pairs/part-00000.parquet").read_bytes() == whole
    assert parts[0].stat().st_mtime_ns == kept and not torn.exists()
    with pytest.raises(InputError, match="holds another run"):
        imported(rows[:2], "ms-swift", batch_size=1)


@pytest.mark.slow
def test_imported_pairs_are_trained_and_scored_by_training(
    make_pair: MakePair, export, imported, videos: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """Responses about one video, then views of two, each scored by training itself."""
    from vtalign.training.config import TrainConfig
    from vtalign.training.logs import read_history
    from vtalign.training.recipe import run_recipe

    out = videos / "rendered"
    pairs = [make_pair(f"{number}.mp4") for number in range(3)]
    for kind, vdpo in (("dpo", False), ("vdpo", True)):
        shutil.rmtree(out, ignore_errors=True)
        exported = export(pairs, "ms-swift", vdpo=vdpo, out=out)
        read = imported(exported.file, "ms-swift", model=str(tiny_checkpoint), out=tmp_path / f"in-{kind}")
        stage = {"kind": kind, "name": kind, "data": str(read.out / "pairs"), "learning_rate": 1e-3, "pairs_per_step": 3}
        settings = {"model": str(tiny_checkpoint), "videos": str(videos), "output": str(tmp_path / kind), "device": "cpu"}
        summary = run_recipe(TrainConfig.model_validate({**settings, "stages": [{**stage, "max_steps": 2}]}))
        assert summary.stages[0].scored_references == 3
        assert read_history(summary.history)[0]["rewards/margins"] == pytest.approx(0, abs=1e-3)
    shutil.rmtree(out)


def test_a_pair_whose_second_video_is_gone_is_left_out_of_training(make_pair: MakePair, videos: Path, tmp_path: Path) -> None:
    from vtalign.preference.pair import video_prompt
    from vtalign.training.data import PairExample
    from vtalign.training.footage import VideoFolder

    gone = make_pair("1.mp4").view
    pair = replace(make_pair(), rejected_view=gone, other_videos=((gone.slots[0].video_id, "gone.mp4"),))
    example = PairExample(pair, pair.clean_prompt, pair.chosen, None, second=video_prompt(gone, pair.prompt))
    folder = VideoFolder(videos, FramePolicy(), tmp_path / "frames", workers=1, show_progress=False)
    _, kept, skipped = folder.read_pairs([example])
    assert kept == [] and [(video.video, video.reason, video.examples) for video in skipped] == [("gone.mp4", "missing", 1)]
